"""The vendors of OpenAI's dialect: where each has its usage, and what else is odd about it.

Each is asked with 100 input tokens, 40 of them cached, 7 of reasoning and two words.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import openai
import orjson
import pytest

from simulator.billing import cost_nano_usd
from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator
from simulator.usage import Usage
from simulator.vendors import VENDORS

Ask = Callable[..., RawAnswer]
Usages = dict[str, Any]

PROMPT = "[[tokens=2]] [[input=100]] [[cached=40]] [[reasoning=7]]"
ASKED: Any = {"stream": True, "stream_options": {"include_usage": True}}
USD = (100 * 3 + 9 * 15) / 1_000_000

CACHED = {"prompt_tokens_details": {"cached_tokens": 40}}
REASONING = {"completion_tokens_details": {"reasoning_tokens": 7}}
INSIDE = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109}
BESIDE = {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 109}

# What the usage of a whole answer has, at least.
USAGES: dict[str, Usages] = {
    "openai": INSIDE,
    "mistral": INSIDE | CACHED,
    "groq": INSIDE | CACHED | REASONING | {"queue_time": 0.021},
    "deepseek": {
        **INSIDE,
        **CACHED,
        **REASONING,
        "prompt_cache_hit_tokens": 40,
        "prompt_cache_miss_tokens": 60,
    },
    "xai": BESIDE | REASONING | {"cost_in_usd_ticks": 4_350_000, "num_sources_used": 0},
    "openrouter": {
        **INSIDE,
        **CACHED,
        **REASONING,
        "cost": USD,
        "is_byok": False,
        "cost_details": {
            "upstream_inference_cost": USD,
            "upstream_inference_prompt_cost": 0.0003,
            "upstream_inference_completions_cost": 0.000135,
        },
    },
    "together": INSIDE,
    "fireworks": INSIDE | CACHED,
    "gemini": BESIDE,
    "cerebras": INSIDE | CACHED,
    "perplexity": {
        "prompt_tokens": 100,
        "completion_tokens": 2,
        "total_tokens": 102,
        "reasoning_tokens": 7,
        "cost": {
            "input_tokens_cost": 0.0003,
            "output_tokens_cost": 0.000135,
            "request_cost": 0.005,
            "total_cost": 0.005435,
        },
    },
    "moonshot": INSIDE | {"cached_tokens": 40},
    "ollama": INSIDE,
    "vllm": INSIDE | {"prompt_tokens_details": None},
    "deepinfra": INSIDE | CACHED | {"estimated_cost": USD},
}

# Where a stream of two words has it, unasked and asked. ``finish`` is the chunk with the finish
# reason, ``own`` one without choices, ``empty`` one whose choice says nothing.
PLACES: dict[str, tuple[list[str], list[str]]] = {
    "openai": ([], ["own"]),
    "mistral": (["finish"], ["finish"]),
    "groq": (["x_groq"], ["x_groq", "own"]),
    "deepseek": (["finish"], ["finish"]),
    "xai": ([], ["own"]),
    "openrouter": (["empty"], ["empty"]),
    "together": (["finish"], ["finish"]),
    "fireworks": (["finish"], ["finish"]),
    "gemini": ([], ["opening", "word", "word", "finish"]),
    "cerebras": (["finish"], ["finish"]),
    "perplexity": (["opening", "word", "word", "finish"],) * 2,
    "moonshot": (["choice"], ["choice", "own"]),
    "ollama": ([], ["own"]),
    "vllm": ([], ["own"]),
    "deepinfra": ([], ["own"]),
}

REASONING_FIELDS = {
    "groq": "reasoning",
    "deepseek": "reasoning_content",
    "xai": "reasoning_content",
    "openrouter": "reasoning",
    "together": "reasoning",
    "fireworks": "reasoning_content",
    "cerebras": "reasoning",
    "moonshot": "reasoning_content",
    "ollama": "reasoning",
    "vllm": "reasoning_content",
    "deepinfra": "reasoning_content",
}


def chunks_of(answer: RawAnswer) -> list[dict[str, Any]]:
    events = [event for event in answer.body.split(b"\n\n") if event.startswith(b"data: ")]
    assert events.pop() == b"data: [DONE]"
    return [orjson.loads(event.removeprefix(b"data: ")) for event in events]


def place_of(chunk: dict[str, Any]) -> str:
    if not chunk["choices"]:
        return "own"
    (choice,) = chunk["choices"]
    delta = choice["delta"]
    if choice["finish_reason"]:
        return "finish"
    if "role" not in delta:
        return "word"
    return "opening" if "refusal" in delta else "empty"


def usages_of(answer: RawAnswer) -> list[tuple[str, Usages]]:
    """List every usage of a stream with where it was."""
    found = []
    for chunk in chunks_of(answer):
        if chunk.get("usage"):
            found.append((place_of(chunk), chunk["usage"]))
        if "x_groq" in chunk:
            found.append(("x_groq", chunk["x_groq"]["usage"]))
        found += [("choice", each["usage"]) for each in chunk["choices"] if "usage" in each]
    return found


def test_every_row_is_tested() -> None:
    assert USAGES.keys() == PLACES.keys() == VENDORS.keys()
    shown = {name: row.reasoning_field for name, row in VENDORS.items() if row.reasoning_field}
    assert shown == REASONING_FIELDS


@pytest.mark.parametrize("vendor", VENDORS)
def test_whole_answer_has_the_usage_of_the_vendor(ask_vendor: Ask, vendor: str) -> None:
    usage = orjson.loads(ask_vendor(vendor, PROMPT).body)["usage"]
    assert USAGES[vendor].items() <= usage.items()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("is_asked", [False, True])
def test_stream_has_the_usage_where_the_vendor_puts_it(
    ask_vendor: Ask, vendor: str, *, is_asked: bool
) -> None:
    fields: Any = ASKED if is_asked and vendor != "mistral" else {"stream": True}
    # Without reasoning that is shown, so that the places are the same for all.
    prompt = PROMPT.replace("[[reasoning=7]]", "")
    found = usages_of(ask_vendor(vendor, prompt, **fields))
    assert [place for place, _ in found] == PLACES[vendor][is_asked]
    if found:
        assert found[-1][1]["completion_tokens"] == 2


@pytest.mark.parametrize("vendor", [name for name in VENDORS if PLACES[name][1]])
def test_last_usage_of_a_stream_is_that_of_the_whole_answer(ask_vendor: Ask, vendor: str) -> None:
    fields: Any = ASKED if vendor != "mistral" else {"stream": True}
    last = usages_of(ask_vendor(vendor, PROMPT, **fields))[-1][1]
    assert last == orjson.loads(ask_vendor(vendor, PROMPT).body)["usage"]


@pytest.mark.parametrize("vendor", VENDORS)
def test_usage_off_hides_it_everywhere(ask_vendor: Ask, vendor: str) -> None:
    prompt = f"{PROMPT} [[usage=off]]"
    for fields in ({}, {"stream": True}, ASKED):
        if vendor == "mistral" and fields is ASKED:
            continue
        assert b'"usage":{' not in ask_vendor(vendor, prompt, **fields).body


@pytest.mark.parametrize("vendor", VENDORS)
def test_sdk_speaks_to_the_vendor(simulator: RunningSimulator, vendor: str) -> None:
    with openai.OpenAI(
        api_key="sk-test-1234", base_url=simulator.vendor_url(vendor), max_retries=0
    ) as client:
        asked: Any = {"model": "some-model", "messages": [{"role": "user", "content": PROMPT}]}
        whole = client.chat.completions.create(**asked)
        with client.chat.completions.create(**asked, stream=True) as stream:
            choices = [choice for chunk in stream for choice in chunk.choices]
        assert whole.choices[0].message.content == "Hello from"
        assert "".join(choice.delta.content or "" for choice in choices) == "Hello from"
        assert client.responses.create(model="some-model", input="hi").usage is not None
        assert client.embeddings.create(model="some-model", input="hi").usage.total_tokens == 1
        assert client.completions.create(model="some-model", prompt="hi").usage is not None
        assert list(client.models.list())
    assert {call["status"] for call in simulator.calls()} == {200}
    booked = simulator.calls()[0]["usage"]
    assert booked is not None
    assert (booked["input_tokens"], booked["output_tokens"]) == (100, 9)


@pytest.mark.parametrize("vendor", VENDORS)
def test_model_keeps_its_name_but_at_openai(ask_vendor: Ask, vendor: str) -> None:
    model = orjson.loads(ask_vendor(vendor, "hi", model="gpt-4o").body)["model"]
    assert model == ("gpt-4o-2024-08-06" if vendor == "openai" else "gpt-4o")


@pytest.mark.parametrize(("vendor", "field"), REASONING_FIELDS.items())
def test_reasoning_is_shown_in_the_field_of_the_vendor(
    ask_vendor: Ask, vendor: str, field: str
) -> None:
    assert orjson.loads(ask_vendor(vendor, PROMPT).body)["choices"][0]["message"][field]
    streamed = chunks_of(ask_vendor(vendor, PROMPT, stream=True))
    assert any(field in choice["delta"] for chunk in streamed for choice in chunk["choices"])
    bare = orjson.loads(ask_vendor(vendor, "hi").body)
    assert field not in bare["choices"][0]["message"]


def test_running_totals_grow_from_chunk_to_chunk(ask_vendor: Ask) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    answer = ask_vendor("vllm", "[[tokens=3]] [[input=50]]", stream=True, stream_options=options)
    found = usages_of(answer)
    assert [place for place, _ in found] == ["opening", *["word"] * 3, "finish", "own"]
    assert [usage["completion_tokens"] for _, usage in found] == [0, 1, 2, 3, 3, 3]
    assert {usage["prompt_tokens"] for _, usage in found} == {50}


@pytest.mark.parametrize("vendor", ["openai", "ollama"])
def test_running_totals_are_for_those_who_know_them(ask_vendor: Ask, vendor: str) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    answer = ask_vendor(vendor, "hi", stream=True, stream_options=options)
    assert [place for place, _ in usages_of(answer)] == ["own"]


@pytest.mark.parametrize(
    ("vendor", "comment"),
    [("deepseek", b": keep-alive\n\n"), ("openrouter", b": OPENROUTER PROCESSING\n\n")],
)
def test_stream_begins_with_comments(ask_vendor: Ask, vendor: str, comment: bytes) -> None:
    answer = ask_vendor(vendor, "hi", stream=True)
    assert answer.chunks[:2] == (comment, comment)
    assert answer.chunks[2].startswith(b"data: ")


def test_blank_lines_come_before_a_whole_answer(ask_vendor: Ask) -> None:
    answer = ask_vendor("deepseek", "hi")
    assert answer.body.startswith(b"\n\n\n\n{")
    assert len(answer.body) == int(answer.header("content-length") or 0)


def test_chunks_without_usage_have_null_where_the_vendor_says_so(ask_vendor: Ask) -> None:
    for vendor in ("openai", "deepseek"):
        chunks = chunks_of(ask_vendor(vendor, "hi [[tokens=1]]", **ASKED))
        assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert not any("usage" in chunk for chunk in chunks_of(ask_vendor("vllm", "hi", **ASKED))[:-1])


@pytest.mark.parametrize(
    ("vendor", "field"),
    [
        ("openrouter", "provider"),
        ("cerebras", "time_info"),
        ("perplexity", "citations"),
        ("groq", "service_tier"),
    ],
)
def test_answer_has_the_fields_of_the_vendor(ask_vendor: Ask, vendor: str, field: str) -> None:
    assert field in orjson.loads(ask_vendor(vendor, "hi").body)
    assert all(field in chunk for chunk in chunks_of(ask_vendor(vendor, "hi", stream=True)))


def test_answer_of_a_router_is_a_generation(ask_vendor: Ask) -> None:
    assert orjson.loads(ask_vendor("openrouter", "hi").body)["id"].startswith("gen-")


@pytest.mark.parametrize("name", ["stream_options", "max_completion_tokens"])
def test_foreign_field_is_refused(ask_vendor: Ask, name: str) -> None:
    value = {"include_usage": True} if name == "stream_options" else 9
    answer = ask_vendor("mistral", "hi", **{"stream": True, name: value})
    assert answer.status == 422
    assert orjson.loads(answer.body) == {
        "object": "error",
        "message": f"Extra inputs are not permitted: body.{name}",
        "type": "invalid_request_error",
        "param": name,
        "code": None,
    }


@pytest.mark.parametrize("vendor", [name for name, row in VENDORS.items() if not row.is_strict])
def test_others_allow_what_openai_refuses(ask_vendor: Ask, vendor: str) -> None:
    assert ask_vendor(vendor, "hi", model="some-thinking", max_tokens=99).status == 200
    assert ask_vendor(vendor, "hi", tool_choice="auto").status == 200


MESSAGE = "The server had an error while processing your request. Sorry about that!"
# The body of a server error; those that are not here have OpenAI's.
ERRORS: dict[str, object] = {
    "mistral": {
        "object": "error",
        "message": MESSAGE,
        "type": "server_error",
        "param": None,
        "code": None,
    },
    "xai": {"code": "server_error", "error": MESSAGE},
    "openrouter": {"error": {"message": MESSAGE, "code": 500}},
    "fireworks": {
        "error": {"object": "error", "type": "server_error", "code": None, "message": MESSAGE}
    },
    "gemini": [{"error": {"code": 500, "message": MESSAGE, "status": "server_error"}}],
    "cerebras": {"message": MESSAGE, "type": "server_error", "param": None, "code": None},
    "perplexity": {"error": {"message": MESSAGE, "type": "server_error", "code": 500}},
    "moonshot": {"error": {"message": MESSAGE, "type": "server_error"}},
    "vllm": {"error": {"message": MESSAGE, "type": "server_error", "param": None, "code": 500}},
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_error_has_the_shape_of_the_vendor(ask_vendor: Ask, vendor: str) -> None:
    usual = {"error": {"message": MESSAGE, "type": "server_error", "param": None, "code": None}}
    answer = ask_vendor(vendor, "[[status=500]]")
    assert answer.status == 500
    assert orjson.loads(answer.body) == ERRORS.get(vendor, usual)


@pytest.mark.parametrize("vendor", VENDORS)
def test_error_ends_a_stream(ask_vendor: Ask, vendor: str) -> None:
    answer = ask_vendor(vendor, "[[tokens=9]] [[error=2]]", stream=True)
    last = orjson.loads(answer.body.rstrip(b"\n").rpartition(b"\ndata: ")[2])
    if vendor == "openrouter":
        assert last["choices"][0]["finish_reason"] == "error"
        assert last["error"]["message"] == MESSAGE
        assert last["id"].startswith("gen-")
    else:
        assert last == orjson.loads(ask_vendor(vendor, "[[status=500]]").body)


@pytest.mark.parametrize("vendor", VENDORS)
def test_key_is_needed_but_on_machines_of_one_s_own(post: Ask, vendor: str) -> None:
    path = f"/vendors/{vendor}/v1/chat/completions"
    body = {"model": "some-model", "messages": [{"role": "user", "content": "hi"}]}
    expected = 200 if vendor in ("ollama", "vllm") else 401
    assert post(path, body, {}).status == expected
    assert post(path, body, {"authorization": "Bearer wrong-key"}).status == expected


def test_cost_is_told_wherever_there_is_a_usage(post: Ask, simulator: RunningSimulator) -> None:
    body = {"model": "some-model", "input": "[[input=1000]] [[tokens=10]]"}
    response = orjson.loads(post("/vendors/xai/v1/responses", body).body)["usage"]
    assert response["output_tokens"] == 10
    assert response["cost_in_usd_ticks"] == (1_000 * 3_000 + 10 * 15_000) * 10
    vectors = orjson.loads(post("/vendors/openrouter/v1/embeddings", body).body)["usage"]
    assert vectors["cost"] == 0.003


def test_reasoning_is_inside_the_output_of_responses(post: Ask) -> None:
    body = {"model": "grok-4.3", "input": "[[tokens=10]] [[reasoning=5]]"}
    usage = orjson.loads(post("/vendors/xai/v1/responses", body).body)["usage"]
    assert usage["output_tokens"] == 15
    assert usage["total_tokens"] == usage["input_tokens"] + 15


def test_made_up_price_is_exact() -> None:
    usage = Usage(input_tokens=100, output_tokens=9)
    assert Decimal(cost_nano_usd(usage)).scaleb(-9) == Decimal("0.000435")


def test_unknown_vendor_is_a_wrong_path(post: Ask) -> None:
    answer = post("/vendors/nobody/v1/chat/completions", {})
    assert answer.status == 404
    assert b"Invalid URL (POST /vendors/nobody/v1/chat/completions)" in answer.body
