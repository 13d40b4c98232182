"""What OpenAI's dialect offers beside chat: requests as they are read, sent on, and answered."""

import json
from typing import Any

import pytest

from ai_gateway.domain.call import AskedCall, Operation
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.errors import InvalidRequest
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.openai_dialect import OPERATIONS, OpenAIDialect
from ai_gateway.providers.openai_operation import TOOL_OVERHEAD_BYTES
from ai_gateway.providers.provider import Provider, Quirks, UsageReport

DIALECT = OpenAIDialect()
LAB = Provider("lab", "openai", "http://lab.test/v1", "sk-lab-secret")
DATA = "QUJD" * 1000
GIVEN: dict[str, dict[str, Any]] = {
    "completions": {"prompt": "Once"},
    "embeddings": {"input": "Once"},
    "responses": {"input": "Once"},
}
each_operation = pytest.mark.parametrize("name", GIVEN)


def raw(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def read(name: str, **fields: Any) -> AskedCall:
    body = {"model": "m", **GIVEN[name], **fields}
    return DIALECT.read_request(Operation(name), json.dumps(body).encode())


def sent(
    name: str, *, cap: int | None = None, to: Provider = LAB, **fields: Any
) -> UpstreamRequest:
    asked = read(name, **fields)
    return DIALECT.upstream_request(
        to, asked, model="served", output_cap=cap, client_headers={"openai-beta": "x"}
    )


def sent_body(name: str, *, cap: int | None = None, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(sent(name, cap=cap, **fields).body)
    return body


def told(name: str, quirks: Quirks | None = None, **answer: Any) -> Reading:
    return DIALECT.read_answer(raw(**answer), Operation(name), quirks or Quirks())


def test_every_operation_has_a_path_of_its_own() -> None:
    assert {one.path for one in OPERATIONS.values()} == {
        "/chat/completions",
        "/completions",
        "/embeddings",
        "/responses",
    }


@each_operation
def test_request_goes_to_its_path_with_the_same_fields(name: str) -> None:
    request = sent(name, unknown={"a": [1]})
    assert request.url == f"http://lab.test/v1/{name}"
    assert request.headers == {"openai-beta": "x", "authorization": "Bearer sk-lab-secret"}
    assert json.loads(request.body) == {"model": "served", **GIVEN[name], "unknown": {"a": [1]}}


@each_operation
def test_plain_request_holds_its_bytes(name: str) -> None:
    asked = read(name)
    assert asked.input_bytes == len(json.dumps({"model": "m", **GIVEN[name]}))
    assert (asked.stream, asked.choices, asked.media_parts) == (False, 1, 0)
    assert asked.output_cap == (0 if name == "embeddings" else None)
    assert asked.is_self_contained
    assert asked.previous_response_id is None


BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "prompt is a number": ("completions", {"prompt": 7}),
    "prompt is empty": ("completions", {"prompt": []}),
    "too many prompts": ("completions", {"prompt": ["a"] * 2_049}),
    "best of too many": ("completions", {"best_of": 129}),
    "no input": ("embeddings", {"input": None}),
    "empty input": ("embeddings", {"input": ""}),
    "input is an object": ("embeddings", {"input": {}}),
    "streamed embeddings": ("embeddings", {"stream": True}),
    "no model": ("embeddings", {"model": None}),
    "input is a number": ("responses", {"input": 7}),
    "in the background": ("responses", {"background": True}),
    "background is text": ("responses", {"background": "yes"}),
    "cap is text": ("responses", {"max_output_tokens": "9"}),
    "tools are an object": ("responses", {"tools": {"a": 1}}),
    "previous is a number": ("responses", {"previous_response_id": 7}),
}


@pytest.mark.parametrize(("name", "fields"), BAD.values(), ids=BAD)
def test_bad_request_is_refused(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        read(name, **fields)


@pytest.mark.parametrize(
    ("fields", "choices"),
    [
        ({"n": 3}, 3),
        ({"n": 2, "best_of": 5}, 5),
        ({"prompt": ["a", "b"], "n": 3}, 6),
        ({"prompt": [1, 2, 3]}, 1),
        ({"prompt": [[1, 2], [3]]}, 2),
        ({"prompt": None}, 1),
    ],
)
def test_every_text_that_a_completion_makes_is_held_for(
    fields: dict[str, Any], choices: int
) -> None:
    assert read("completions", **fields).choices == choices


@pytest.mark.parametrize(
    ("name", "field"), [("completions", "max_tokens"), ("responses", "max_output_tokens")]
)
def test_cap_goes_into_the_field_of_the_operation(name: str, field: str) -> None:
    assert sent_body(name, cap=17)[field] == 17
    assert sent_body(name, cap=17, **{field: 90})[field] == 17
    assert read(name, **{field: 90}).output_cap == 90
    assert sent_body(name, **{field: 90})[field] == 90
    assert field not in sent_body(name)


def test_usage_is_asked_for_in_streamed_completions_alone() -> None:
    assert sent_body("completions", stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in sent_body("completions")
    assert "stream_options" not in sent_body("responses", stream=True)


def part(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [fields]}]}


UNSEEN: dict[str, dict[str, Any]] = {
    "a previous response": {"previous_response_id": "resp_1"},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
    "a hosted tool": {"tools": [{"type": "function"}, {"type": "web_search"}]},
    "a stored item": {"input": [{"type": "item_reference", "id": "msg_1"}]},
    "a file elsewhere": part(type="input_file", file_url="https://example.com/a.pdf"),
}


@pytest.mark.parametrize("fields", UNSEEN.values(), ids=UNSEEN)
def test_response_with_input_that_we_cannot_see_holds_the_context(fields: dict[str, Any]) -> None:
    assert not read("responses", **fields).is_self_contained


def tool(**fields: Any) -> dict[str, Any]:
    return {"tools": [fields]}


STORED: dict[str, tuple[dict[str, Any], str]] = {
    "conversation": ({"conversation": "conv_1"}, "conversation"),
    "conversation as an object": ({"conversation": {"id": "conv_1"}}, "conversation"),
    "file": (part(type="input_file", file_id="file-1"), "file_id"),
    "image": (part(type="input_image", file_id="file-1"), "file_id"),
    "file of a tool's result": (
        {"input": [{"type": "function_call_output", "output": [
            {"type": "input_file", "file_id": "file-1"}]}]},
        "file_id",
    ),
    "screenshot": (
        {"input": [{"type": "computer_call_output", "output":
            {"type": "computer_screenshot", "file_id": "file-1"}}]},
        "file_id",
    ),
    "file of a stored prompt": (
        {"prompt": {"id": "p", "variables": {"a": {"type": "input_file", "file_id": "file-1"}}}},
        "file_id",
    ),
    "mask": (tool(type="image_generation", input_image_mask={"file_id": "file-1"}), "file_id"),
    "vector store": (tool(type="file_search", vector_store_ids=["vs_1"]), "tools"),
    "container": (tool(type="code_interpreter", container="cntr_1"), "tools"),
    "files in a container": (
        tool(type="code_interpreter", container={"type": "auto", "file_ids": ["file-1"]}),
        "tools",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "param"), STORED.values(), ids=STORED)
def test_response_that_names_what_the_provider_keeps_is_refused(
    fields: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest, match="not offered") as refused:
        read("responses", **fields)
    assert refused.value.param == param


NAMED_ALIKE: dict[str, dict[str, Any]] = {
    "metadata": {"metadata": {"file_id": "file-1", "conversation": "conv_1"}},
    "no file": part(type="input_file", file_id=None, file_data=DATA),
    "no conversation": {"conversation": None},
    "property of a tool": tool(
        type="function", name="read", parameters={"properties": {"file_id": {"type": "string"}}}
    ),
    "citation of an earlier answer": {
        "input": [{"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "a", "annotations": [
                {"type": "container_file_citation", "file_id": "cfile_1"}]}]}]},
    "new container": tool(type="code_interpreter", container={"type": "auto"}),
}  # fmt: skip


@pytest.mark.parametrize("fields", NAMED_ALIKE.values(), ids=NAMED_ALIKE)
def test_response_that_only_looks_like_it_passes(fields: dict[str, Any]) -> None:
    assert json.loads(sent("responses", **fields).body) == {
        "model": "served", **GIVEN["responses"], **fields
    }  # fmt: skip


def test_tools_of_the_client_leave_a_response_self_contained() -> None:
    plain, asked = read("responses"), read("responses", tools=[{"type": "custom"}])
    assert asked.is_self_contained
    added = len(', "tools": [{"type": "custom"}]')
    assert asked.input_bytes == plain.input_bytes + added + TOOL_OVERHEAD_BYTES


@pytest.mark.parametrize(
    "fields",
    [
        part(type="input_image", image_url=DATA),
        part(type="input_file", file_data=DATA),
        {"input": [{"type": "function_call_output", "output": [
            {"type": "input_image", "image_url": DATA}]}]},
        {"input": [{"type": "computer_call_output", "output":
            {"type": "computer_screenshot", "image_url": DATA}}]},
    ],
)  # fmt: skip
def test_media_of_a_response_is_counted_apart_from_its_bytes(fields: dict[str, Any]) -> None:
    asked = read("responses", **fields)
    assert asked.media_parts == 1
    assert asked.input_bytes < 300
    assert asked.is_self_contained


# Answers


def usage(input_tokens: int, output_tokens: int, **more: Any) -> dict[str, Any]:
    return {"input_tokens": input_tokens, "output_tokens": output_tokens, **more}


def test_billed_searches_are_those_that_the_response_tells() -> None:
    searches = [
        {"type": "web_search_call", "action": {"type": kind}} for kind in ("search", "open")
    ]
    assert told("responses", usage=usage(1, 1), output=searches).usage.web_searches == 1
    none = {"web_search": {"num_requests": 0}}
    reading = told("responses", usage=usage(1, 1), output=searches, tool_usage=none)
    assert reading.usage.web_searches == 0
    three = {"web_search": {"num_requests": 3}}
    assert told("responses", usage=usage(1, 1), tool_usage=three).usage.web_searches == 3


def test_images_that_were_made_are_beside_the_usage_so_that_it_is_a_lower_bound() -> None:
    drawn = {"image_gen": {"input_tokens": 5, "output_tokens": 900}}
    assert told("responses", usage=usage(1, 1), tool_usage=drawn).status is UsageStatus.PARTIAL
    none = {"image_gen": {"input_tokens": 0, "output_tokens": 0}}
    assert told("responses", usage=usage(1, 1), tool_usage=none).status is UsageStatus.EXACT


@pytest.mark.parametrize(
    ("fields", "status", "output"),
    [
        ({"usage": usage(10, 5, total_tokens=15)}, UsageStatus.EXACT, 5),
        ({"usage": usage(10, 5, total_tokens=35)}, UsageStatus.ANOMALY, 25),
        ({"usage": {"input_tokens": 10}}, UsageStatus.PARTIAL, 0),
        ({"usage": None}, UsageStatus.MISSING, 0),
    ],
)
def test_usage_of_a_response_is_read_with_care(
    fields: dict[str, Any], status: UsageStatus, output: int
) -> None:
    reading = told("responses", **fields)
    assert (reading.status, reading.usage.output_tokens) == (status, output)


def test_response_that_failed_is_an_answer_all_the_same() -> None:
    reading = told("responses", id="resp_1", status="failed", usage=None)
    assert (reading.failed, reading.is_readable, reading.stored_id) == (True, True, "resp_1")


def test_text_of_a_response_is_counted_in_bytes() -> None:
    output = [
        {"type": "reasoning", "summary": [{"text": "so"}]},
        {"type": "message", "content": [{"text": "h\u00e9"}, {"refusal": "no"}]},
        {"type": "function_call", "arguments": "{}"},
    ]
    assert told("responses", output=output).text_bytes == 2 + 3 + 2 + 2


def event(kind: str, **fields: Any) -> bytes:
    return raw(type=kind, **fields)


def seen(*events: bytes) -> Any:
    interpreter = DIALECT.interpreter(read("responses", stream=True), Quirks())
    assert all(interpreter.see(one) for one in events)
    return interpreter


def test_response_is_known_by_its_id_from_its_first_event_on() -> None:
    stream = seen(event("response.created", response={"id": "resp_1", "usage": None}))
    assert stream.stored_id == "resp_1"
    assert not stream.is_complete


@pytest.mark.parametrize("end", ["completed", "incomplete"])
def test_streamed_response_is_billed_by_its_last_event(end: str) -> None:
    last = {"id": "resp_1", "model": "m-1", "service_tier": "flex", "usage": usage(10, 5)}
    stream = seen(
        event("response.output_text.delta", delta="h\u00e9"),
        event("response.function_call_arguments.delta", delta="{}"),
        event("response.output_text.done", text="ignored"),
        event(f"response.{end}", response=last),
    )
    reading = stream.reading()
    assert (stream.is_complete, stream.has_failed, stream.text_bytes) == (True, False, 5)
    assert (reading.status, reading.usage) == (UsageStatus.EXACT, Usage(10, output_tokens=5))
    assert (reading.served_model, reading.service_tier) == ("m-1", "flex")


def test_usage_before_the_last_event_is_a_lower_bound() -> None:
    stream = seen(event("response.in_progress", response={"usage": usage(10, 5)}))
    assert stream.reading().status is UsageStatus.PARTIAL


def test_embeddings_cannot_be_interpreted_as_a_stream() -> None:
    with pytest.raises(NotImplementedError):
        DIALECT.interpreter(read("embeddings"), Quirks())


# Vendors


def counts(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def chat(report: UsageReport, **reported: Any) -> Reading:
    return told("chat", Quirks(usage=report), choices=[], usage=reported)


REASONING = UsageReport(total_has_reasoning=True)


@pytest.mark.parametrize(
    ("more", "status", "output", "reasoning"),
    [
        ({}, UsageStatus.EXACT, 25, 20),
        ({"completion_tokens_details": {"reasoning_tokens": 20}}, UsageStatus.EXACT, 25, 20),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, UsageStatus.ANOMALY, 25, 4),
    ],
)
def test_reasoning_that_only_the_total_has_is_output(
    more: dict[str, Any], status: UsageStatus, output: int, reasoning: int
) -> None:
    reading = chat(REASONING, **counts(10, 5, total_tokens=35), **more)
    assert reading.status is status
    assert (reading.usage.output_tokens, reading.usage.reasoning_tokens) == (output, reasoning)


def test_reasoning_inside_the_completion_is_not_added_again() -> None:
    details = {"reasoning_tokens": 4}
    reading = chat(REASONING, **counts(10, 5, total_tokens=15), completion_tokens_details=details)
    assert reading.usage == Usage(10, output_tokens=5, reasoning_tokens=4)
    assert reading.status is UsageStatus.EXACT


def test_reasoning_in_no_total_is_output() -> None:
    report = UsageReport(reasoning_is_beside=True)
    reading = chat(report, **counts(10, 5, total_tokens=15, reasoning_tokens=7))
    assert reading.usage == Usage(10, output_tokens=12, reasoning_tokens=7)


def test_cached_tokens_are_read_from_the_vendors_field_unless_the_details_have_them() -> None:
    report = UsageReport(cached_field="prompt_cache_hit_tokens")
    given = counts(10, 5, prompt_cache_hit_tokens=6)
    assert chat(report, **given).usage.cached_input_tokens == 6
    zero = {"prompt_tokens_details": {"cached_tokens": 0}}
    assert chat(report, **given, **zero).usage.cached_input_tokens == 0
    assert chat(UsageReport(), **given).usage.cached_input_tokens == 0


PLACES: dict[str, dict[str, Any]] = {
    "x_groq": {"choices": [{"finish_reason": "stop"}], "x_groq": {"usage": counts(10, 5)}},
    "choice": {"choices": [{"finish_reason": "stop", "usage": counts(10, 5)}]},
}


@pytest.mark.parametrize("place", PLACES)
def test_usage_of_a_stream_is_found_in_the_vendors_place_alone(place: Any) -> None:
    asked = DIALECT.read_request(Operation.CHAT, raw(model="m", messages=[{}], stream=True))
    own = DIALECT.interpreter(asked, Quirks(usage=UsageReport(place=place)))
    other = DIALECT.interpreter(asked, Quirks())
    assert own.see(raw(**PLACES[place])) is other.see(raw(**PLACES[place])) is True
    assert own.reading().usage == Usage(10, output_tokens=5)
    assert own.reading().status is UsageStatus.EXACT
    assert other.reading().status is UsageStatus.MISSING


STATED: dict[str, tuple[Any, dict[str, Any], int | None]] = {
    "ticks": ("ticks", {"cost_in_usd_ticks": 282856000}, 28_285_600),
    "half a nano is even": ("ticks", {"cost_in_usd_ticks": 25}, 2),
    "credits": ("credits", {"cost": 5.4e-06, "is_byok": False}, 5_400),
    "nothing": ("credits", {"cost": 0}, 0),
    "upstream of the router's own": (
        "credits",
        {"cost": 0.1, "cost_details": {"upstream_inference_cost": 0.1}},
        100_000_000,
    ),
    "upstream of the caller's own": (
        "credits",
        {"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.1}},
        110_000_000,
    ),
    "upstream is not told": ("credits", {"cost": 0.01, "is_byok": True}, 10_000_000),
    "total": ("total", {"cost": {"total_cost": 0.3}}, 300_000_000),
    "estimate": ("estimate", {"estimated_cost": 8.775e-06}, 8_775),
    "not stated": ("ticks", {}, None),
    "text": ("credits", {"cost": "1"}, None),
    "true": ("credits", {"cost": True}, None),
    "negative": ("credits", {"cost": -0.1}, None),
    "absurd": ("credits", {"cost": 1e300}, None),
    "another vendor's": ("", {"cost": 1}, None),
}


@pytest.mark.parametrize(("how", "fields", "nano_usd"), STATED.values(), ids=STATED)
def test_stated_cost_is_read_to_the_last_digit(
    how: Any, fields: dict[str, Any], nano_usd: int | None
) -> None:
    reading = chat(UsageReport(cost=how), **counts(10, 5), **fields)
    assert reading.stated_cost == nano_usd
    is_stated = nano_usd is not None
    assert reading.status == (UsageStatus.PROVIDER_COST if is_stated else UsageStatus.EXACT)
    assert reading.usage == Usage(10, output_tokens=5)


def test_anomaly_stays_one_although_its_cost_is_stated() -> None:
    reading = chat(UsageReport(cost="ticks"), **counts(10, 5, total_tokens=1), cost_in_usd_ticks=70)
    assert (reading.status, reading.stated_cost) == (UsageStatus.ANOMALY, 7)


def test_comments_and_blank_lines_before_an_answer_are_passed_over() -> None:
    body = b"\n\n: PROCESSING\n:\n\n" + raw(usage=counts(10, 5))
    assert DIALECT.read_answer(body, Operation.CHAT, Quirks()).usage.input_tokens == 10
    assert not DIALECT.read_answer(b": PROCESSING", Operation.CHAT, Quirks()).is_readable
