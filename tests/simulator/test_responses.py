"""OpenAI's responses, as the real SDK and a raw socket see them."""

from collections.abc import Callable
from typing import Any

import openai
import orjson
import pytest

from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator

Ask = Callable[..., RawAnswer]

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
SEARCH: Any = {"type": "web_search"}
ARGUMENTS = {"city": "simulated"}


def events_of(answer: RawAnswer) -> list[dict[str, Any]]:
    """Parse a stream; each event must have its name on a line of its own, and its number."""
    events = []
    for number, block in enumerate(answer.body.decode().split("\n\n")[:-1]):
        name, data = block.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        events.append(event)
    return events


def test_response_has_the_shape_of_the_api(ask_response: Ask) -> None:
    answer = ask_response("hello [[tokens=4]]", metadata={"a": "b"}, max_output_tokens=99)
    body = orjson.loads(answer.body)
    assert body.pop("id").startswith("resp_")
    assert body["output"][0].pop("id").startswith("msg_")
    assert isinstance(body.pop("created_at"), int)
    assert isinstance(body.pop("completed_at"), int)
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello from the AI"}
    assert body == {
        "object": "response",
        "status": "completed",
        "model": "gpt-4o-mini-2024-07-18",
        "output": [
            {"type": "message", "status": "completed", "role": "assistant", "content": [part]}
        ],
        "usage": {
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 16,
        },
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 99,
        "max_tool_calls": None,
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }


def test_stream_has_the_events_of_the_api(ask_response: Ask) -> None:
    answer = ask_response("hi [[tokens=2]]", stream=True)
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert b"[DONE]" not in answer.body
    events = events_of(answer)
    assert [event["type"] for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["response"]["usage"] for event in events[:2]] == [None, None]
    assert {event["response"]["status"] for event in events[:2]} == {"in_progress"}
    assert events[2]["item"]["content"] == []
    assert events[2]["item"]["status"] == "in_progress"
    assert [event["delta"] for event in events[4:6]] == ["Hello", " from"]
    assert events[-1]["response"]["usage"]["output_tokens"] == 2
    assert events[-1]["response"]["output"] == [events[-2]["item"]]


def test_sdk_gathers_a_stream_into_the_same_response(openai_client: openai.OpenAI) -> None:
    whole = openai_client.responses.create(model="gpt-5", input="why?")
    with openai_client.responses.stream(model="gpt-5", input="why?") as stream:
        gathered = stream.get_final_response()
    assert gathered.output_text == whole.output_text
    assert gathered.usage == whole.usage
    assert gathered.status == whole.status == "completed"
    assert [item.type for item in gathered.output] == ["reasoning", "message"]


def test_padding_of_events_can_be_switched_off(ask_response: Ask) -> None:
    assert b"obfuscation" in ask_response("hi", stream=True).body
    options = {"include_obfuscation": False}
    assert b"obfuscation" not in ask_response("hi", stream=True, stream_options=options).body


def test_models_that_think_have_a_reasoning_item(ask_response: Ask) -> None:
    answer = ask_response("hi [[tokens=3]] [[reasoning=20]]", model="gpt-5", stream=True)
    events = events_of(answer)
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert [item["type"] for item in added] == ["reasoning", "message"]
    assert {event.get("output_index") for event in events} == {None, 0, 1}
    usage = events[-1]["response"]["usage"]
    assert usage["output_tokens"] == 23
    assert usage["output_tokens_details"] == {"reasoning_tokens": 20}


@pytest.mark.parametrize("is_stream", [True, False])
def test_cap_makes_the_response_incomplete(
    openai_client: openai.OpenAI, *, is_stream: bool
) -> None:
    asked: Any = {"model": "gpt-4o", "input": "[[tokens=50]]", "max_output_tokens": 16}
    if is_stream:
        with openai_client.responses.create(**asked, stream=True) as stream:
            *_, last = stream
        assert last.type == "response.incomplete"
        response = last.response
    else:
        response = openai_client.responses.create(**asked)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 16


def test_reasoning_may_use_up_the_cap(ask_response: Ask) -> None:
    answer = ask_response("[[reasoning=50]]", model="gpt-5", max_output_tokens=20)
    body = orjson.loads(answer.body)
    assert [item["type"] for item in body["output"]] == ["reasoning"]
    assert body["status"] == "incomplete"
    assert body["usage"]["output_tokens"] == 20


def test_function_is_called_when_the_prompt_asks(openai_client: openai.OpenAI) -> None:
    with openai_client.responses.stream(
        model="gpt-4o", input="weather? [[tool]]", tools=[SEARCH, WEATHER]
    ) as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    (item,) = response.output
    assert item.type == "function_call"
    assert (item.name, item.status) == ("get_weather", "completed")
    assert orjson.loads(item.arguments) == ARGUMENTS
    assert "response.function_call_arguments.delta" in kinds
    assert kinds[-3] == "response.function_call_arguments.done"


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
def test_function_is_called_when_the_request_forces_it(ask_response: Ask, choice: object) -> None:
    body = orjson.loads(ask_response("hi", tools=[WEATHER], tool_choice=choice).body)
    assert body["output"][0]["type"] == "function_call"
    assert body["tool_choice"] == choice


def test_result_of_a_function_is_answered_in_words(ask_response: Ask) -> None:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "[[tool]]"}]},
        {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
    ]
    answer = ask_response("", input=items, tools=[WEATHER], tool_choice="required")
    assert orjson.loads(answer.body)["output"][0]["type"] == "message"


def test_parts_of_the_input_are_read(ask_response: Ask) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    text = {"type": "input_text", "text": "[[tokens=3]]"}
    answer = ask_response("", input=[{"role": "user", "content": [text, image]}])
    usage = orjson.loads(answer.body)["usage"]
    assert usage["output_tokens"] == 3
    assert usage["input_tokens"] == 3 + 4 + 3 + 85


def test_input_counts_can_be_set(ask_response: Ask) -> None:
    answer = ask_response("[[input=5000]] [[cached=600]] [[cache_write=100]] [[cache_write_1h=50]]")
    usage = orjson.loads(answer.body)["usage"]
    assert usage["input_tokens"] == 5000
    assert usage["input_tokens_details"] == {
        "cached_tokens": 600,
        "cache_write_tokens": 150,
        "cache_write_tokens_details": {"ttl_30m_tokens": 100, "ttl_12h_tokens": 50},
    }


def test_usage_off_leaves_null_and_still_books_it(
    ask_response: Ask, simulator: RunningSimulator
) -> None:
    assert orjson.loads(ask_response("[[usage=off]]").body)["usage"] is None
    events = events_of(ask_response("[[usage=off]]", stream=True))
    assert events[-1]["response"]["usage"] is None
    assert all(call["usage"] for call in simulator.calls())


def test_error_in_the_stream_raises_in_the_sdk(
    openai_client: openai.OpenAI, simulator: RunningSimulator
) -> None:
    with (
        openai_client.responses.create(model="gpt-4o", input="[[error=3]]", stream=True) as stream,
        pytest.raises(openai.APIError, match="The server had an error"),
    ):
        list(stream)
    (call,) = simulator.calls()
    assert call["usage"] is not None
    assert call["usage"]["output_tokens"] == 3


def test_response_fails_in_the_stream(openai_client: openai.OpenAI) -> None:
    with openai_client.responses.create(
        model="gpt-4o", input="[[failed=3]]", stream=True
    ) as stream:
        events = list(stream)
    assert [event.type for event in events].count("response.output_text.delta") == 3
    last = events[-1]
    assert last.type == "response.failed"
    assert last.response.usage is None
    assert last.response.error is not None
    assert last.response.error.code == "server_error"


def test_whole_response_fails_with_status_200(ask_response: Ask) -> None:
    answer = ask_response("[[failed=0]]")
    body = orjson.loads(answer.body)
    assert (answer.status, body["status"], body["usage"]) == (200, "failed", None)


def test_stored_response_is_told_again_as_it_was(openai_client: openai.OpenAI) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="hello")
    assert openai_client.responses.retrieve(made.id) == made
    with openai_client.responses.stream(model="gpt-4o", input="hello") as stream:
        streamed = stream.get_final_response()
    told = openai_client.responses.retrieve(streamed.id)
    assert (told.output_text, told.usage) == (streamed.output_text, streamed.usage)


def test_reading_a_stored_response_is_not_billed(
    openai_client: openai.OpenAI, simulator: RunningSimulator
) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="hello")
    openai_client.responses.retrieve(made.id)
    billed = [call["usage"] is not None for call in simulator.calls()]
    assert billed == [True, False]


def test_deleted_response_is_gone(openai_client: openai.OpenAI) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="hello")
    openai_client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{made.id}' not found"):
        openai_client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.delete(made.id)


def test_response_that_is_not_stored_cannot_be_read(openai_client: openai.OpenAI) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="hello", store=False)
    with pytest.raises(openai.NotFoundError):
        openai_client.responses.retrieve(made.id)


def test_response_goes_on_from_an_earlier_one(openai_client: openai.OpenAI) -> None:
    first = openai_client.responses.create(model="gpt-4o", input="hello [[tokens=10]]")
    alone = openai_client.responses.create(model="gpt-4o", input="go on")
    second = openai_client.responses.create(
        model="gpt-4o", input="go on", previous_response_id=first.id
    )
    assert first.usage is not None
    assert second.usage is not None
    assert alone.usage is not None
    assert second.usage.input_tokens == first.usage.total_tokens + alone.usage.input_tokens
    assert second.previous_response_id == first.id


def test_background_response_is_queued_and_finished_later(
    openai_client: openai.OpenAI,
) -> None:
    made = openai_client.responses.create(
        model="gpt-4o", input="hello [[tokens=5]]", background=True
    )
    assert (made.status, made.usage, made.output) == ("queued", None, [])
    told = openai_client.responses.retrieve(made.id)
    assert told.status == "completed"
    assert told.usage is not None
    assert told.usage.output_tokens == 5
    assert openai_client.responses.cancel(made.id).status == "completed"


def test_queued_response_can_be_cancelled(openai_client: openai.OpenAI) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="hello", background=True)
    cancelled = openai_client.responses.cancel(made.id)
    assert (cancelled.status, cancelled.usage) == ("cancelled", None)
    assert openai_client.responses.retrieve(made.id).status == "cancelled"


def test_streamed_background_response_starts_queued(ask_response: Ask) -> None:
    events = events_of(ask_response("hi", background=True, stream=True))
    kinds = [event["type"] for event in events]
    assert kinds[:3] == ["response.created", "response.queued", "response.in_progress"]
    assert events[0]["response"]["status"] == "queued"


def test_other_response_cannot_be_cancelled(openai_client: openai.OpenAI) -> None:
    made = openai_client.responses.create(model="gpt-4o", input="hello")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        openai_client.responses.cancel(made.id)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/responses/resp_none", 404),
        ("DELETE", "/v1/responses/resp_none", 404),
        ("POST", "/v1/responses/resp_none/cancel", 404),
        ("GET", "/v1/responses/resp_none/nothing", 404),
        ("PUT", "/v1/responses/resp_none", 405),
        ("GET", "/v1/responses", 405),
        ("PATCH", "/v1/nowhere", 404),
    ],
)
def test_what_is_not_there_is_refused(
    request_bare: Ask, method: str, path: str, status: int
) -> None:
    answer = request_bare(method, path)
    assert answer.status == status
    assert orjson.loads(answer.body)["error"]["type"] == "invalid_request_error"


REFUSALS: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "no model": ({"model": None}, None, None),
    "no input": ({"input": None}, "input", "missing_required_parameter"),
    "input as number": ({"input": 5}, "input", "invalid_type"),
    "empty input": ({"input": []}, "input", "empty_array"),
    "item as text": ({"input": ["hi"]}, "input[0]", "invalid_type"),
    "no role": ({"input": [{"content": "x"}]}, "input[0].role", "missing_required_parameter"),
    "odd role": ({"input": [{"role": "tool"}]}, "input[0]", "invalid_value"),
    "messages": ({"messages": []}, "messages", "unsupported_parameter"),
    "old cap": ({"max_tokens": 99}, "max_tokens", "unsupported_parameter"),
    "low cap": ({"max_output_tokens": 15}, "max_output_tokens", "integer_below_minimum_value"),
    "stream": ({"stream": "yes"}, "stream", "invalid_type"),
    "store": ({"store": "yes"}, "store", "invalid_type"),
    "usage in the stream": (
        {"stream": True, "stream_options": {"include_usage": True}},
        "stream_options.include_usage",
        "unknown_parameter",
    ),
    "options without stream": ({"stream_options": {}}, "stream_options", None),
    "background without store": ({"background": True, "store": False}, "background", None),
    "unknown tool": ({"tool_choice": {"type": "function", "name": "f"}}, "tool_choice", None),
    "tool without name": (
        {"tools": [{"type": "function"}]},
        "tools[0].name",
        "missing_required_parameter",
    ),
    "unknown earlier response": (
        {"previous_response_id": "resp_none"},
        "previous_response_id",
        "previous_response_not_found",
    ),
    "bad marker": ({"input": "[[cut=x]]"}, None, None),
}


@pytest.mark.parametrize(("fields", "param", "code"), REFUSALS.values(), ids=REFUSALS.keys())
def test_wrong_request_is_refused_in_the_vendor_s_words(
    ask_response: Ask, fields: dict[str, Any], param: str | None, code: str | None
) -> None:
    answer = ask_response("hi", **fields)
    error = orjson.loads(answer.body)["error"]
    assert answer.status == 400
    assert error.pop("message")
    assert error == {"type": "invalid_request_error", "param": param, "code": code}


def test_status_marker_gives_the_vendor_s_error(ask_response: Ask) -> None:
    answer = ask_response("[[status=429]]", stream=True)
    assert answer.status == 429
    assert orjson.loads(answer.body)["error"]["code"] == "rate_limit_exceeded"
