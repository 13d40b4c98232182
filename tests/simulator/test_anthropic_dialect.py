"""Anthropic's dialect, as the real SDK and a raw socket see it."""

from collections.abc import Callable
from typing import Any

import anthropic
import orjson
import pytest

from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator
from tests.coroutines import run

Ask = Callable[..., RawAnswer]

WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search"}
ARGUMENTS = {"city": "simulated"}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def cached(text: str, ttl: str | None = None) -> Any:
    control = {"type": "ephemeral"} | ({"ttl": ttl} if ttl else {})
    return [{"type": "text", "text": text, "cache_control": control}]


def events_of(answer: RawAnswer) -> list[dict[str, Any]]:
    """Parse a stream; each event must have its name on a line of its own, equal to its type."""
    events = []
    for block in answer.body.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def test_message_has_the_shape_of_the_api(ask_anthropic: Ask) -> None:
    body = orjson.loads(ask_anthropic("hello [[tokens=4]]", model="claude-opus-4-5").body)
    assert body.pop("id").startswith("msg_")
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5-20251101",
        "content": [{"type": "text", "text": "Hello from the AI"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 9,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": 4,
            "service_tier": "standard",
        },
    }


def test_answer_carries_the_headers_of_the_vendor(ask_anthropic: Ask) -> None:
    answer = ask_anthropic("hello")
    assert (answer.header("request-id") or "").startswith("req_")
    assert answer.header("anthropic-organization-id")
    assert answer.header("set-cookie")


def test_stream_has_the_events_of_the_api(ask_anthropic: Ask) -> None:
    answer = ask_anthropic("hello [[tokens=2]]", stream=True)
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    start, *rest = events_of(answer)
    message = start["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    assert message["usage"]["input_tokens"] == 9
    assert message["usage"]["output_tokens"] == 1
    block = {"type": "text", "text": ""}
    counts = {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 2,
    }
    assert rest == [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": word},
            }
            for word in ("Hello", " from")
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": counts,
        },
        {"type": "message_stop"},
    ]


def test_sdk_gathers_a_stream_into_the_same_message(
    anthropic_client: anthropic.Anthropic,
) -> None:
    asked: Any = {"model": "claude-opus-5-5", "max_tokens": 99, "messages": user("why?")}
    whole = anthropic_client.messages.create(**asked)
    with anthropic_client.messages.stream(**asked) as stream:
        gathered = stream.get_final_message()
    (streamed_block,), (whole_block,) = gathered.content, whole.content
    assert streamed_block.type == whole_block.type == "text"
    assert streamed_block.text == whole_block.text
    assert gathered.usage.output_tokens == whole.usage.output_tokens
    assert gathered.stop_reason == whole.stop_reason == "end_turn"


def test_async_sdk_streams(simulator: RunningSimulator) -> None:
    async def ask() -> anthropic.types.Message:
        async with (
            anthropic.AsyncAnthropic(api_key="sk-1", base_url=simulator.url) as client,
            client.messages.stream(
                model="claude-opus-5-5", max_tokens=99, messages=user("[[tokens=7]]")
            ) as stream,
        ):
            return await stream.get_final_message()

    assert run(ask()).usage.output_tokens == 7


def test_output_cap_is_respected(ask_anthropic: Ask) -> None:
    body = orjson.loads(ask_anthropic("[[tokens=50]]", max_tokens=5).body)
    assert (body["usage"]["output_tokens"], body["stop_reason"]) == (5, "max_tokens")


def test_thinking_is_part_of_the_output(ask_anthropic: Ask) -> None:
    usage = orjson.loads(ask_anthropic("[[tokens=5]] [[reasoning=30]]").body)["usage"]
    assert usage["output_tokens"] == 35
    assert usage["output_tokens_details"] == {"thinking_tokens": 30}


@pytest.mark.parametrize(
    ("prompt", "choice"),
    [
        ("[[tool]]", None),
        ("hi", {"type": "any"}),
        ("hi", {"type": "tool", "name": "get_weather"}),
    ],
)
def test_tool_is_called_when_asked_or_forced(ask_anthropic: Ask, prompt: str, choice: Any) -> None:
    answer = ask_anthropic(prompt, tools=[SEARCH, WEATHER], tool_choice=choice)
    body = orjson.loads(answer.body)
    (block,) = body["content"]
    assert block.pop("id").startswith("toolu_")
    assert block == {"type": "tool_use", "name": "get_weather", "input": ARGUMENTS}
    assert body["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("prompt", "choice"), [("hi", {"type": "auto"}), ("[[tool]]", {"type": "none"})]
)
def test_tool_is_not_called_otherwise(ask_anthropic: Ask, prompt: str, choice: Any) -> None:
    body = orjson.loads(ask_anthropic(prompt, tools=[WEATHER], tool_choice=choice).body)
    assert body["stop_reason"] == "end_turn"


def test_tool_call_streams_as_pieces_of_its_input(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model="claude-opus-5-5", max_tokens=99, messages=user("[[tool]]"), tools=[WEATHER]
    ) as stream:
        message = stream.get_final_message()
    (block,) = message.content
    assert block.type == "tool_use"
    assert block.input == ARGUMENTS
    assert message.stop_reason == "tool_use"


def test_tool_call_cut_short_by_the_cap_has_no_input(ask_anthropic: Ask) -> None:
    body = orjson.loads(ask_anthropic("[[tool]]", tools=[WEATHER], max_tokens=1).body)
    assert body["content"][0]["input"] == {}
    assert body["stop_reason"] == "max_tokens"


def test_result_of_a_tool_is_answered_in_words(ask_anthropic: Ask) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"}
    messages = [
        *user("[[tool]]"),
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    body = orjson.loads(ask_anthropic("", messages=messages, tools=[WEATHER]).body)
    assert body["stop_reason"] == "end_turn"


def test_marked_prompt_is_written_to_the_cache_and_read_next(
    anthropic_client: anthropic.Anthropic,
) -> None:
    prompt = cached("a long text for the cache, seen in no other test " * 40)
    first, second = (
        anthropic_client.messages.create(
            model="claude-opus-5-5", max_tokens=99, system=prompt, messages=user("hi")
        ).usage
        for _ in range(2)
    )
    written = first.cache_creation_input_tokens
    assert written == 490
    assert first.cache_creation is not None
    assert first.cache_creation.ephemeral_5m_input_tokens == written
    assert first.cache_read_input_tokens == 0
    assert second.cache_read_input_tokens == written
    assert second.cache_creation_input_tokens == 0
    assert first.input_tokens == second.input_tokens == 5


def test_long_retention_is_told_apart(ask_anthropic: Ask) -> None:
    answer = ask_anthropic("hi", system=cached("kept for an hour, " * 40, "1h"))
    creation = orjson.loads(answer.body)["usage"]["cache_creation"]
    assert creation["ephemeral_1h_input_tokens"] == 180
    assert creation["ephemeral_5m_input_tokens"] == 0


def test_mark_on_the_request_caches_the_whole_prompt(ask_anthropic: Ask) -> None:
    text = "cached as a whole, " * 40
    control = {"type": "ephemeral"}
    first = orjson.loads(ask_anthropic(text, cache_control=control).body)["usage"]
    assert first["cache_creation_input_tokens"] == 190
    longer = [*user(text), {"role": "assistant", "content": "ok"}, *user("more")]
    second = orjson.loads(ask_anthropic("", messages=longer, cache_control=control).body)["usage"]
    assert second["cache_read_input_tokens"] == 190
    assert second["cache_creation_input_tokens"] == 2


def test_input_counts_can_be_set(ask_anthropic: Ask) -> None:
    answer = ask_anthropic(
        "[[input=1000]] [[cached=600]] [[cache_write=100]] [[cache_write_1h=50]]"
    )
    usage = orjson.loads(answer.body)["usage"]
    assert usage["input_tokens"] == 250
    assert usage["cache_read_input_tokens"] == 600
    assert usage["cache_creation_input_tokens"] == 150
    assert usage["cache_creation"] == {
        "ephemeral_5m_input_tokens": 100,
        "ephemeral_1h_input_tokens": 50,
    }


def test_models_are_listed_in_the_vendor_s_shape(anthropic_client: anthropic.Anthropic) -> None:
    models = list(anthropic_client.models.list())
    assert "claude-opus-5-5" in {model.id for model in models}
    assert {model.type for model in models} == {"model"}
    assert all(model.created_at.tzinfo for model in models)


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "model: Field required"),
    "model as number": ({"model": 5}, "model: Input should be a valid string"),
    "empty model": ({"model": ""}, "model: String should have at least 1 character"),
    "no messages": ({"messages": None}, "messages: Field required"),
    "messages as text": ({"messages": "hi"}, "messages: Input should be a valid list"),
    "empty messages": ({"messages": []}, "messages: at least one message is required"),
    "message as text": ({"messages": ["hi"]}, "messages.0: Input should be an object"),
    "no role": ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
    "odd role": (
        {"messages": [{"role": "tool", "content": "x"}]},
        "messages.0.role: Input should be 'user' or 'assistant'",
    ),
    "no content": ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    "content": (
        {"messages": [{"role": "user", "content": 5}]},
        "messages.0.content: Input should be a valid list",
    ),
    "no cap": ({"max_tokens": None}, "max_tokens: Field required"),
    "cap as text": ({"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    "cap of 0": ({"max_tokens": 0}, "max_tokens: must be greater than or equal to 1"),
    "stream": ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    "tools": ({"tools": "f"}, "tools: Input should be a valid list"),
    "tool as text": ({"tools": ["f"]}, "tools.0: Input should be an object"),
    "tool without schema": (
        {"tools": [{"name": "f"}]},
        "tools.0.custom.input_schema: Field required",
    ),
    "choice without tools": (
        {"tool_choice": {"type": "any"}},
        "tool_choice may only be specified while providing tools.",
    ),
    "unknown tool": (
        {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "f"}},
        "Tool 'f' not found in provided tools",
    ),
}


@pytest.mark.parametrize(("fields", "message"), REFUSALS.values(), ids=REFUSALS.keys())
def test_wrong_request_is_refused_in_the_vendor_s_words(
    ask_anthropic: Ask, fields: dict[str, Any], message: str
) -> None:
    answer = ask_anthropic("hi", **fields)
    body = orjson.loads(answer.body)
    assert answer.status == 400
    assert body == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": message},
        "request_id": answer.header("request-id"),
    }


def test_system_role_is_refused_with_advice(ask_anthropic: Ask) -> None:
    answer = ask_anthropic("", messages=[{"role": "system", "content": "x"}])
    assert b"top-level `system` parameter" in answer.body


def test_bad_marker_is_refused(ask_anthropic: Ask) -> None:
    assert b"simulator: bad marker [[cut=x]]" in ask_anthropic("[[cut=x]]").body


def test_body_that_is_no_json_is_refused(post: Ask) -> None:
    answer = post("/v1/messages", b"{")
    assert answer.status == 400
    assert b"The request body is not valid JSON" in answer.body


VERSION = {"anthropic-version": "2023-06-01"}


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        (VERSION, 401, "x-api-key header is required"),
        (VERSION | {"x-api-key": "wrong-key"}, 401, "invalid x-api-key"),
        (VERSION | {"authorization": "Bearer wrong-key"}, 401, "Invalid bearer token"),
        (VERSION | {"authorization": "Basic x"}, 401, "x-api-key header is required"),
        ({"authorization": "Bearer sk-1"}, 400, "anthropic-version: header is required"),
        ({"x-api-key": "sk-1"}, 400, "anthropic-version: header is required"),
    ],
)
def test_credential_and_version_are_needed(
    post: Ask, headers: dict[str, str], status: int, message: str
) -> None:
    answer = post("/v1/messages", {}, headers)
    assert answer.status == status
    assert orjson.loads(answer.body)["error"]["message"] == message


def test_unknown_path_is_not_found(post: Ask) -> None:
    answer = post("/v1/nowhere", {}, VERSION | {"x-api-key": "sk-1"})
    assert answer.status == 404
    assert orjson.loads(answer.body)["error"]["type"] == "not_found_error"


def test_wrong_method_is_not_allowed(post: Ask) -> None:
    assert post("/v1/models", {}, VERSION | {"x-api-key": "sk-1"}).status == 405


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (418, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_status_marker_gives_the_vendor_s_error(ask_anthropic: Ask, status: int, kind: str) -> None:
    answer = ask_anthropic(f"[[status={status}]]", stream=True)
    assert answer.status == status
    assert orjson.loads(answer.body)["error"]["type"] == kind
    assert answer.header("retry-after") == ("2" if status == 429 else None)


def test_error_in_the_stream_raises_in_the_sdk(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model="claude-opus-5-5", max_tokens=99, messages=user("[[error=3]]")
    ) as stream:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            stream.until_done()
        assert stream.current_message_snapshot.content[0].type == "text"
