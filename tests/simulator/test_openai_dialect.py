"""OpenAI's dialect, as the real SDK and a raw socket see it."""

from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from typing import Any

import openai
import orjson
import pytest

from simulator.raw_http import RawAnswer, RawConnection
from simulator.testing import RunningSimulator
from tests.coroutines import run

Ask = Callable[..., RawAnswer]

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
ARGUMENTS = {"city": "simulated", "days": 1}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def chunks_of(answer: RawAnswer) -> Iterator[dict[str, Any]]:
    for event in answer.body.split(b"\n\n"):
        data = event.removeprefix(b"data: ")
        if data not in (b"", b"[DONE]"):
            yield orjson.loads(data)


def test_completion_has_the_shape_of_the_api(ask_openai: Ask) -> None:
    answer = ask_openai("hello [[tokens=4]]")
    body = orjson.loads(answer.body)
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello from the AI",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 12,
            "completion_tokens": 4,
            "total_tokens": 16,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_simulator00",
    }


def test_answer_carries_the_headers_of_the_vendor(ask_openai: Ask) -> None:
    answer = ask_openai("hello")
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    assert (answer.header("x-request-id") or "").startswith("req_")
    assert answer.header("openai-processing-ms")
    assert answer.header("openai-organization")
    assert answer.header("set-cookie")


def test_usual_answer_has_about_forty_words_and_says_who_speaks(
    openai_client: openai.OpenAI,
) -> None:
    answer = openai_client.chat.completions.create(model="gpt-4o", messages=user("hello"))
    assert answer.usage is not None
    assert 35 <= answer.usage.completion_tokens <= 50
    assert "simulator" in (answer.choices[0].message.content or "")


def test_same_question_gets_the_same_answer_streamed_or_not(openai_client: openai.OpenAI) -> None:
    whole = openai_client.chat.completions.create(model="gpt-4o", messages=user("why?"))
    with openai_client.chat.completions.create(
        model="gpt-4o", messages=user("why?"), stream=True
    ) as stream:
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == whole.choices[0].message.content
    other = openai_client.chat.completions.create(model="gpt-4o", messages=user("why not?"))
    assert text != other.choices[0].message.content


def test_stream_with_usage_has_the_shape_of_the_api(ask_openai: Ask) -> None:
    answer = ask_openai("hi [[tokens=2]]", stream=True, stream_options={"include_usage": True})
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert answer.body.endswith(b"\n\ndata: [DONE]\n\n")
    chunks = list(chunks_of(answer))
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert deltas == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hello"},
        {"content": " from"},
        {},
    ]
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 4
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 2


def test_stream_tells_no_usage_unless_asked(ask_openai: Ask) -> None:
    assert b"usage" not in ask_openai("hi", stream=True).body


def test_padding_of_chunks_can_be_switched_off(ask_openai: Ask) -> None:
    assert b"obfuscation" in ask_openai("hi", stream=True).body
    options = {"include_obfuscation": False}
    assert b"obfuscation" not in ask_openai("hi", stream=True, stream_options=options).body


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_output_cap_is_respected(ask_openai: Ask, field: str) -> None:
    body = orjson.loads(ask_openai("hi [[tokens=50]]", **{field: 5}).body)
    assert body["usage"]["completion_tokens"] == 5
    assert body["choices"][0]["finish_reason"] == "length"
    exact = orjson.loads(ask_openai("hi [[tokens=5]]", **{field: 5}).body)
    assert exact["choices"][0]["finish_reason"] == "stop"


def test_several_choices_are_all_billed(openai_client: openai.OpenAI) -> None:
    prompt = user("hi [[tokens=30]]")
    whole = openai_client.chat.completions.create(model="gpt-4o", messages=prompt, n=3)
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 90
    assert len({choice.message.content for choice in whole.choices}) == 3
    texts = ["", "", ""]
    with openai_client.chat.completions.create(
        model="gpt-4o", messages=prompt, n=3, stream=True
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices]


@pytest.mark.parametrize(
    ("asked", "served"),
    [(None, "default"), ("auto", "default"), ("flex", "flex"), ("fast", "priority")],
)
def test_served_tier_is_told(ask_openai: Ask, asked: str | None, served: str) -> None:
    assert orjson.loads(ask_openai("hi", service_tier=asked).body)["service_tier"] == served


@pytest.mark.parametrize("model", ["o3-mini", "gpt-5", "gpt-6-sol", "kimi-thinking"])
def test_models_that_think_report_reasoning(ask_openai: Ask, model: str) -> None:
    usage = orjson.loads(ask_openai("hi [[tokens=5]]", model=model).body)["usage"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert reasoning > 0
    assert usage["completion_tokens"] == 5 + reasoning


def test_reasoning_may_use_up_the_cap(ask_openai: Ask) -> None:
    answer = ask_openai("hi [[reasoning=50]]", model="gpt-5", max_completion_tokens=20)
    body = orjson.loads(answer.body)
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 20
    assert body["usage"]["completion_tokens"] == 20
    assert body["choices"][0]["message"]["content"] == ""
    assert body["choices"][0]["finish_reason"] == "length"


def test_tool_is_called_when_the_prompt_asks(openai_client: openai.OpenAI) -> None:
    answer = openai_client.chat.completions.create(
        model="gpt-4o", messages=user("weather? [[tool]]"), tools=[WEATHER]
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert choice.message.tool_calls is not None
    call = choice.message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert orjson.loads(call.function.arguments) == ARGUMENTS


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
def test_tool_is_called_when_the_request_forces_it(ask_openai: Ask, choice: object) -> None:
    body = orjson.loads(ask_openai("hi", tools=[WEATHER], tool_choice=choice).body)
    assert body["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(("prompt", "choice"), [("hi", "auto"), ("[[tool]]", "none")])
def test_tool_is_not_called_otherwise(ask_openai: Ask, prompt: str, choice: str) -> None:
    body = orjson.loads(ask_openai(prompt, tools=[WEATHER], tool_choice=choice).body)
    assert body["choices"][0]["finish_reason"] == "stop"


def test_tool_call_streams_as_pieces_of_its_arguments(ask_openai: Ask) -> None:
    answer = ask_openai("[[tool]]", tools=[WEATHER], stream=True)
    chunks = [chunk["choices"][0] for chunk in chunks_of(answer)]
    first = chunks[0]["delta"]["tool_calls"][0]
    assert first["id"].startswith("call_")
    assert first["function"] == {"name": "get_weather", "arguments": ""}
    pieces = [chunk["delta"]["tool_calls"][0]["function"]["arguments"] for chunk in chunks[1:-1]]
    assert orjson.loads("".join(pieces)) == ARGUMENTS
    assert chunks[-1]["finish_reason"] == "tool_calls"


def test_result_of_a_tool_is_answered_in_words(ask_openai: Ask) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        *user("[[tool]]"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    answer = ask_openai("", messages=messages, tools=[WEATHER], tool_choice="required")
    assert orjson.loads(answer.body)["choices"][0]["finish_reason"] == "stop"


def test_async_sdk_streams(simulator: RunningSimulator) -> None:
    async def ask() -> int | None:
        async with openai.AsyncOpenAI(api_key="sk-1", base_url=simulator.openai_url) as client:
            stream = await client.chat.completions.create(
                model="gpt-4o",
                messages=user("[[tokens=7]]"),
                stream=True,
                stream_options={"include_usage": True},
            )
            last = None
            async for chunk in stream:
                last = chunk.usage
            return last.completion_tokens if last else None

    assert run(ask()) == 7


def test_models_are_listed(openai_client: openai.OpenAI) -> None:
    models = list(openai_client.models.list())
    assert "gpt-4o-mini" in {model.id for model in models}
    assert {model.object for model in models} == {"model"}


REFUSALS: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "no model": ({"model": None}, None, None),
    "no messages": ({"messages": None}, "messages", "missing_required_parameter"),
    "messages as text": ({"messages": "hi"}, "messages", "invalid_type"),
    "empty messages": ({"messages": []}, "messages", "empty_array"),
    "message as text": ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
    "no role": ({"messages": [{}]}, "messages[0].role", "missing_required_parameter"),
    "odd role": ({"messages": [{"role": "x"}]}, "messages[0].role", "invalid_value"),
    "content": (
        {"messages": [{"role": "user", "content": 5}]},
        "messages[0].content",
        "invalid_type",
    ),
    "stream": ({"stream": "yes"}, "stream", "invalid_type"),
    "cap as text": ({"max_tokens": "9"}, "max_tokens", "invalid_type"),
    "cap as truth": ({"max_tokens": True}, "max_tokens", "invalid_type"),
    "cap of 0": ({"max_tokens": 0}, "max_tokens", "integer_below_minimum_value"),
    "both caps": (
        {"max_tokens": 1, "max_completion_tokens": 1},
        "max_tokens",
        "invalid_parameter_combination",
    ),
    "old cap": ({"model": "gpt-5", "max_tokens": 9}, "max_tokens", "unsupported_parameter"),
    "n": ({"n": 129}, "n", "integer_above_maximum_value"),
    "options without stream": ({"stream_options": {}}, "stream_options", None),
    "options as text": ({"stream": True, "stream_options": "x"}, "stream_options", "invalid_type"),
    "choice without tools": ({"tool_choice": "auto"}, "tool_choice", None),
    "unknown tool": (
        {"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "f"}}},
        "tool_choice",
        None,
    ),
    "tool without function": (
        {"tools": [{"type": "function"}]},
        "tools[0].function",
        "missing_required_parameter",
    ),
    "tool without name": (
        {"tools": [{"type": "function", "function": {}}]},
        "tools[0].function.name",
        "missing_required_parameter",
    ),
    "tool as text": ({"tools": ["f"]}, "tools[0]", "invalid_type"),
    "bad marker": ({"messages": user("[[cut=x]]")}, None, None),
}


@pytest.mark.parametrize(("fields", "param", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_wrong_request_is_refused_in_the_vendor_s_words(
    ask_openai: Ask, fields: dict[str, Any], param: str | None, code: str | None
) -> None:
    answer = ask_openai("hi", **fields)
    error = orjson.loads(answer.body)["error"]
    assert answer.status == 400
    assert error.pop("message")
    assert error == {"type": "invalid_request_error", "param": param, "code": code}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_body_that_is_no_json_object_is_refused(post: Ask, body: bytes) -> None:
    answer = post("/v1/chat/completions", body)
    assert answer.status == 400
    assert b"We could not parse the JSON body" in answer.body


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"authorization": "Bearer "}, None),
        ({"authorization": "Basic abc"}, None),
        ({"authorization": "Bearer wrong-key"}, "invalid_api_key"),
    ],
)
def test_credential_is_needed(post: Ask, headers: dict[str, str], code: str | None) -> None:
    answer = post("/v1/chat/completions", {}, headers)
    error = orjson.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["code"]) == (401, "invalid_request_error", code)


def test_wrong_key_is_an_authentication_error_of_the_sdk(simulator: RunningSimulator) -> None:
    with (
        openai.OpenAI(api_key="wrong-key", base_url=simulator.openai_url) as client,
        pytest.raises(openai.AuthenticationError, match="Incorrect API key provided"),
    ):
        client.models.list()


def test_unknown_path_is_not_found(post: Ask) -> None:
    answer = post("/v1/nowhere", {"model": "gpt-4o"})
    assert answer.status == 404
    assert orjson.loads(answer.body)["error"]["message"] == "Invalid URL (POST /v1/nowhere)"


def test_wrong_method_is_not_allowed(post: Ask) -> None:
    answer = post("/v1/models", {})
    assert answer.status == 405
    assert orjson.loads(answer.body)["error"]["code"] == "method_not_supported"


@pytest.mark.parametrize(("path", "status"), [("/v1/chat/completions", 405), ("/v1/nope", 404)])
def test_only_models_can_be_got(
    connect: Callable[[], RawConnection], path: str, status: int
) -> None:
    with connect() as connection:
        connection.send("GET", path, b"", {"authorization": "Bearer k"})
        assert connection.read_to_end().status == status


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, "invalid_request_error", "invalid_value"),
        (401, "invalid_request_error", "invalid_api_key"),
        (403, "invalid_request_error", "model_not_found"),
        (404, "invalid_request_error", "model_not_found"),
        (418, "invalid_request_error", None),
        (429, "tokens", "rate_limit_exceeded"),
        (500, "server_error", None),
        (503, "server_error", None),
        (529, "server_error", None),
    ],
)
def test_status_marker_gives_the_vendor_s_error(
    ask_openai: Ask, status: int, kind: str, code: str | None
) -> None:
    answer = ask_openai(f"[[status={status}]]", stream=True)
    error = orjson.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["code"]) == (status, kind, code)
    assert answer.header("retry-after") == ("2" if status == 429 else None)


def test_input_counts_can_be_set(ask_openai: Ask) -> None:
    answer = ask_openai("[[input=1000]] [[cached=600]] [[cache_write=100]] [[cache_write_1h=50]]")
    usage = orjson.loads(answer.body)["usage"]
    assert usage["prompt_tokens"] == 1000
    assert usage["prompt_tokens_details"] == {
        "cached_tokens": 600,
        "audio_tokens": 0,
        "cache_write_tokens": 150,
    }


def test_total_input_covers_the_cached_part(ask_openai: Ask) -> None:
    usage = orjson.loads(ask_openai("[[cached=600]]").body)["usage"]
    assert usage["prompt_tokens"] == 600


def test_models_of_today_report_cache_writes(ask_openai: Ask) -> None:
    usage = orjson.loads(ask_openai("hi", model="gpt-6-sol").body)["usage"]
    assert usage["prompt_tokens_details"]["cache_write_tokens"] == 0


def test_error_in_the_stream_raises_in_the_sdk(openai_client: openai.OpenAI) -> None:
    with openai_client.chat.completions.create(
        model="gpt-4o", messages=user("[[error=3]]"), stream=True
    ) as stream:
        seen = list(islice(stream, 1 + 3))
        with pytest.raises(openai.APIError, match="The server had an error"):
            next(stream)
    assert len(seen) == 1 + 3


def test_chunks_take_turns_between_choices(ask_openai: Ask) -> None:
    answer = ask_openai("[[tokens=3]]", stream=True, n=2)
    indexes = [chunk["choices"][0]["index"] for chunk in chunks_of(answer)]
    assert all(before != after for before, after in pairwise(indexes))
