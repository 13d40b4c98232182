"""Legacy completions, as the real SDK and a raw socket see them."""

from collections.abc import Callable
from typing import Any

import openai
import orjson
import pytest

from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator

Ask = Callable[..., RawAnswer]

MODEL = "gpt-3.5-turbo-instruct"


@pytest.fixture
def complete(post: Ask) -> Ask:
    def ask(text: object, **fields: object) -> RawAnswer:
        return post("/v1/completions", {"model": MODEL, "prompt": text} | fields)

    return ask


def chunks_of(answer: RawAnswer) -> list[dict[str, Any]]:
    events = [event.removeprefix(b"data: ") for event in answer.body.split(b"\n\n")[:-1]]
    assert events.pop() == b"[DONE]"
    return [orjson.loads(event) for event in events]


def test_completion_has_the_shape_of_the_api(complete: Ask) -> None:
    body = orjson.loads(complete("hello [[tokens=3]]").body)
    assert body.pop("id").startswith("cmpl-")
    assert isinstance(body.pop("created"), int)
    usage = body.pop("usage")
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (5, 3, 8)
    assert body == {
        "object": "text_completion",
        "model": MODEL,
        "choices": [
            {"text": "Hello from the", "index": 0, "logprobs": None, "finish_reason": "stop"}
        ],
        "service_tier": "default",
        "system_fingerprint": "fp_simulator00",
    }


def test_answer_has_sixteen_tokens_unless_more_are_asked_for(complete: Ask) -> None:
    short = orjson.loads(complete("hi").body)
    assert short["usage"]["completion_tokens"] == 16
    assert short["choices"][0]["finish_reason"] == "length"
    assert orjson.loads(complete("hi", max_tokens=99).body)["usage"]["completion_tokens"] > 30


def test_stream_with_usage_has_the_shape_of_the_api(complete: Ask) -> None:
    options = {"include_usage": True}
    chunks = chunks_of(complete("hi [[tokens=2]]", stream=True, stream_options=options))
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 3
    texts = [choice["text"] for chunk in chunks for choice in chunk["choices"]]
    assert texts == ["Hello", " from", ""]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 2


def test_stream_tells_no_usage_unless_asked(complete: Ask) -> None:
    assert b"usage" not in complete("hi", stream=True).body


def test_sdk_streams_several_choices(openai_client: openai.OpenAI) -> None:
    asked: Any = {"model": MODEL, "prompt": "hi", "n": 2, "max_tokens": 40}
    whole = openai_client.completions.create(**asked)
    texts = ["", ""]
    with openai_client.completions.create(**asked, stream=True) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                texts[choice.index] += choice.text
    assert texts == [choice.text for choice in whole.choices]
    assert len(set(texts)) == 2


@pytest.mark.parametrize(
    ("prompt", "choices", "tokens"),
    [(["four", "fives"], 2, 3), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3)],
)
def test_prompt_may_be_several_or_tokens(
    complete: Ask, prompt: object, choices: int, tokens: int
) -> None:
    body = orjson.loads(complete(prompt).body)
    assert len(body["choices"]) == choices
    assert body["usage"]["prompt_tokens"] == tokens


def test_prompt_may_be_absent(post: Ask) -> None:
    assert post("/v1/completions", {"model": MODEL}).status == 200


def test_usage_off_hides_it(complete: Ask) -> None:
    assert b"usage" not in complete("hi [[usage=off]]").body


def test_usage_is_where_the_vendor_has_it(post: Ask) -> None:
    body = {"model": "m", "prompt": "hi [[tokens=2]]", "stream": True}
    finish = chunks_of(post("/vendors/mistral/v1/completions", body))[-1]
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert finish["usage"]["completion_tokens"] == 2
    routed = post("/vendors/openrouter/v1/completions", body).body
    last = orjson.loads(routed.split(b"\n\n")[-3].removeprefix(b"data: "))
    assert last["choices"][0]["text"] == ""
    assert last["usage"]["cost"] > 0


def test_chunks_are_counted(complete: Ask, simulator: RunningSimulator) -> None:
    answer = complete("[[tokens=9]] [[cut=4]]", stream=True)
    assert answer.was_reset
    (call,) = simulator.calls()
    assert call["usage"] is not None
    assert (call["sent_chunks"], call["usage"]["output_tokens"]) == (4, 4)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, None),
        ({"prompt": 5}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", 5]}, "prompt"),
        ({"n": 0}, "n"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {}}, "stream_options"),
    ],
)
def test_wrong_request_is_refused(complete: Ask, fields: dict[str, Any], param: str | None) -> None:
    answer = complete("hi", **fields)
    error = orjson.loads(answer.body)["error"]
    assert (answer.status, error["type"], error["param"]) == (400, "invalid_request_error", param)
