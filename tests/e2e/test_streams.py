"""A stream is handed on as it comes: byte for byte, event by event."""

import json
import time
from typing import Any

import pytest

from simulator.testing import Recorded
from tests.e2e.caller import DIALECTS, Caller, Dialect, left_open

# What a provider may send: comments, unknown events, odd spacing and line ends, several lines of
# data, letters of several bytes, numbers that a parser would write anew.
OPENAI_EVENTS = (
    ": keep-alive\n\n"
    'data: {"id":"c1","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Zoë "}}]}\n\n'
    'data:{ "choices" : [ {"index":0,"delta":{"content":"\\u00e4 😀"}} ] ,\r\n'
    'data: "x":1.50}\r\n\r\n'
    'event: novelty\nid: 7\nretry: 10\ndata: {"later":1e2}\r\r'
    'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
).encode()
OPENAI_USAGE = (
    b'data: {"choices":[],"model":"gpt-4o-mini-2024-07-18",'
    b'"usage":{"prompt_tokens":10,"completion_tokens":2}}\n\n'
)
OPENAI_END = b"data: [DONE]\n\n"
OPENAI_ALL = OPENAI_EVENTS + OPENAI_USAGE + OPENAI_END
ANTHROPIC_ALL = (
    'event: message_start\r\ndata: {"type":"message_start","message":{"model":"claude-haiku-5-5",'
    '"usage":{"input_tokens":10,"output_tokens":1}}}\r\n\r\n'
    'event: ping\ndata: {"type": "ping"}\n\n: comment\n\n'
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
    '{"type":"text_delta","text":"Zoë 😀"}}\n\n'
    'event: novelty\ndata: {"type":"novelty","x":1.50}\n\n'
    "event: message_delta\n"
    'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":2}}\n\n'
    'event: message_stop\ndata: {"type":"message_stop"}\n\n'
).encode()
ASKS_FOR_USAGE = {"stream_options": {"include_usage": True}}

# What is asked for, what the provider sends, and what has to arrive.
STREAMS: dict[str, tuple[Dialect, dict[str, Any], bytes, bytes]] = {
    "openai-usage": ("openai", ASKS_FOR_USAGE, OPENAI_ALL, OPENAI_ALL),
    "openai": ("openai", {}, OPENAI_ALL, OPENAI_EVENTS + OPENAI_END),
    "anthropic": ("anthropic", {}, ANTHROPIC_ALL, ANTHROPIC_ALL),
    "anthropic-unended": ("anthropic", {}, ANTHROPIC_ALL.rstrip(), ANTHROPIC_ALL.rstrip()),
}


def answered(caller: Caller, dialect: Dialect, raw: bytes, size: int, **more: Any) -> bytes:
    """What comes through of a recorded answer that the provider writes in pieces of some bytes."""
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    caller.gateway.simulator.record(Recorded(content=pieces), {"marker": caller.tag})
    stream = caller.stream(dialect, **more)
    with left_open(stream):
        return stream.read_all()


@pytest.mark.parametrize("size", [1, 3, 7, 100_000])
@pytest.mark.parametrize("name", STREAMS)
def test_events_pass_unchanged(caller: Caller, name: str, size: int) -> None:
    dialect, options, raw, expected = STREAMS[name]
    assert answered(caller, dialect, raw, size, **options) == expected
    (entry,) = caller.booked_once(1)
    counted = (entry["usage_status"], entry["input_tokens"], entry["output_tokens"])
    assert counted == ("exact", 10, 2)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "marker", ["[[crlf]]", "[[split=1]]", "[[split=3]]", "[[crlf]] [[split=2]]"]
)
def test_line_ends_and_cuts_of_the_provider_do_not_matter(
    caller: Caller, dialect: Dialect, marker: str
) -> None:
    stream = caller.stream(dialect, f"[[tokens=5]] {marker}")
    with left_open(stream):
        received = stream.read_all()
    assert (b"\r\n\r\n" in received) == ("crlf" in marker)
    assert received.count(b"\n\r\n" if "crlf" in marker else b"\n\n") >= 7
    (entry,) = caller.booked_once(1)
    assert (entry["usage_status"], entry["output_tokens"]) == ("exact", 5)
    assert entry["cost_nano_usd"] == caller.billed()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_event_arrives_when_it_was_sent(caller: Caller, dialect: Dialect) -> None:
    stream = caller.stream(dialect, "[[tokens=6]] [[pace=120]]")
    moments = []
    with left_open(stream):
        while part := stream.read_some():
            if b"text_delta" in part or b'"content":"' in part:
                moments.append(time.monotonic())
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert moments[-1] - moments[0] > 0.4
    assert len(moments) >= 4


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whole_answer_passes_unchanged(caller: Caller, dialect: Dialect) -> None:
    usage = '{"prompt_tokens":1,"completion_tokens":2,"input_tokens":1,"output_tokens":2}'
    raw = (
        f'{{ "model" : "{caller.body(dialect)["model"]}",\n "x":1.50, "usage":{usage} }}\n'.encode()
    )
    caller.gateway.simulator.record(Recorded(content=raw), {"marker": caller.tag})
    answer = caller.ask(dialect)
    assert (answer.status, answer.body) == (200, raw)
    assert caller.booked_once(1)[0]["output_tokens"] == 2


@pytest.mark.parametrize("dialect", DIALECTS)
def test_request_goes_on_with_the_same_values(caller: Caller, dialect: Dialect) -> None:
    extra = {
        "temperature": 0.1,
        "metadata": {"user_id": "ü😀", "big": 2**62, "nothing": None},
        "novelty": [1, 2.5, True, {"deep": []}],
        "max_tokens": 77,
    }
    assert caller.ask(dialect, "[[tokens=2]]", **extra).status == 200
    (call,) = caller.simulated()
    assert call["request_body"] == json.loads(
        json.dumps(caller.body(dialect, "[[tokens=2]]", **extra))
    )
    assert caller.key not in json.dumps(call)
