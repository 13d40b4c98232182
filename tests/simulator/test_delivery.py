"""Faults on the wire, seen from a raw socket, in both dialects."""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from simulator.raw_http import RawAnswer, RawConnection
from simulator.testing import RunningSimulator

Ask = Callable[..., RawAnswer]

# How a chunk of content is known in each dialect.
CONTENT = {"ask_openai": b'"delta":{"content":"', "ask_anthropic": b'"text_delta"'}
CONTENT_OPENING = {"ask_openai": b'"content":""', "ask_anthropic": b"ping"}


@pytest.fixture(params=list(CONTENT))
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def ask(dialect: str, request: pytest.FixtureRequest) -> Ask:
    ask_in_dialect: Ask = request.getfixturevalue(dialect)
    return ask_in_dialect


def words_in(answer: RawAnswer, dialect: str) -> int:
    """Count the words of a stream; the opening of OpenAI's looks like one without a text."""
    empty = answer.body.count(b'"delta":{"content":""')
    return answer.body.count(CONTENT[dialect]) - empty


def test_every_event_is_written_by_itself(ask: Ask) -> None:
    answer = ask("[[tokens=5]]", stream=True)
    assert all(chunk.endswith(b"\n\n") for chunk in answer.chunks)
    assert all(chunk.count(b"\n\n") == 1 for chunk in answer.chunks)


@pytest.mark.parametrize("words", [0, 1, 3])
def test_cut_resets_the_connection_after_so_many_chunks(
    ask: Ask, dialect: str, simulator: RunningSimulator, words: int
) -> None:
    answer = ask(f"[[tokens=9]] [[cut={words}]]", stream=True)
    assert answer.was_reset
    assert words_in(answer, dialect) == words
    assert CONTENT_OPENING[dialect] in answer.body
    (call,) = simulator.calls()
    assert (call["finished"], call["ended"], call["sent_chunks"]) == (False, True, words)
    assert call["usage"] is not None
    assert call["usage"]["output_tokens"] == max(1, words)


def test_cut_beyond_the_answer_comes_after_its_last_word(ask: Ask, dialect: str) -> None:
    answer = ask("[[tokens=4]] [[cut=1000]]", stream=True)
    assert answer.was_reset
    assert words_in(answer, dialect) == 4
    assert b'"stop"' not in answer.body
    assert b"message_stop" not in answer.body


def test_cut_of_a_whole_answer_is_before_it_or_in_its_middle(ask: Ask) -> None:
    before = ask("[[cut=0]]")
    assert before.was_reset
    assert before.status == 0
    middle = ask("[[cut=1]]")
    assert middle.was_reset
    assert middle.status == 200
    assert 0 < len(middle.body) < int(middle.header("content-length") or 0)


@pytest.mark.parametrize("is_stream", [True, False])
def test_stall_holds_the_connection_until_the_client_goes(
    connect: Callable[[], RawConnection], simulator: RunningSimulator, *, is_stream: bool
) -> None:
    body = {
        "model": "gpt-4o",
        "stream": is_stream,
        "messages": [{"role": "user", "content": "[[tokens=9]] [[stall=1]]"}],
    }
    with connect() as connection:
        connection.send("POST", "/v1/chat/completions", body, {"authorization": "Bearer k"})
        connection.read_until(b"Hello" if is_stream else b"choices")
        (call,) = simulator.calls(wait_seconds=0)
        assert (call["finished"], call["ended"]) == (False, False)
    (call,) = simulator.calls()
    assert (call["finished"], call["ended"], call["sent_chunks"]) == (False, True, 1)


def test_client_that_leaves_between_two_chunks_is_noticed(
    connect: Callable[[], RawConnection], simulator: RunningSimulator
) -> None:
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": "[[tokens=9]] [[pace=30000]]"}],
    }
    with connect() as connection:
        connection.send("POST", "/v1/chat/completions", body, {"authorization": "Bearer k"})
        connection.read_until(b"Hello")
    (call,) = simulator.calls()
    assert (call["finished"], call["ended"], call["sent_chunks"]) == (False, True, 1)
    assert call["usage"] is not None
    assert call["usage"]["output_tokens"] == 1


def test_error_ends_the_stream_after_so_many_chunks(
    ask: Ask, dialect: str, simulator: RunningSimulator
) -> None:
    answer = ask("[[tokens=9]] [[error=2]]", stream=True)
    assert not answer.was_reset
    assert words_in(answer, dialect) == 2
    last = answer.body.rstrip(b"\n").rpartition(b"data: ")[2]
    assert "error" in orjson.loads(last)
    (call,) = simulator.calls()
    assert call["finished"]
    assert call["usage"] is not None
    assert call["usage"]["output_tokens"] == 2


def test_error_does_nothing_to_a_whole_answer(ask: Ask) -> None:
    assert ask("[[error=0]]").status == 200


def test_crlf_ends_every_line_of_the_stream(ask: Ask) -> None:
    answer = ask("[[tokens=3]] [[crlf]]", stream=True)
    assert answer.body.count(b"\r\n") == answer.body.count(b"\n") > 0


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_split_writes_pieces_of_one_size_and_the_same_bytes(ask: Ask, size: int) -> None:
    plain = ask("[[tokens=5]]", stream=True)
    split = ask(f"[[tokens=5]] [[split={size}]]", stream=True)
    assert {len(chunk) for chunk in split.chunks[:-1]} == {size}
    assert 0 < len(split.chunks[-1]) <= size
    assert split.body.count(b"data: ") == plain.body.count(b"data: ")


def test_split_keeps_nothing_back_before_a_cut(ask: Ask, dialect: str) -> None:
    answer = ask("[[tokens=5]] [[split=1000000]] [[cut=2]]", stream=True)
    assert answer.was_reset
    assert words_in(answer, dialect) == 2


def test_usage_off_hides_the_usage_and_still_books_it(
    ask: Ask, dialect: str, simulator: RunningSimulator
) -> None:
    fields: dict[str, Any] = {"stream": True}
    if dialect == "ask_openai":
        fields["stream_options"] = {"include_usage": True}
    assert b"usage" not in ask("[[usage=off]] [[tokens=5]]", **fields).body
    assert b"usage" not in ask("[[usage=off]] [[tokens=5]]").body
    for call in simulator.calls():
        assert call["usage"] is not None
        assert call["usage"]["output_tokens"] == 5


def test_delay_comes_before_the_first_byte(ask: Ask) -> None:
    started = time.monotonic()
    ask("[[delay=80]]")
    ask("[[delay=80]] [[status=500]]")
    assert time.monotonic() - started >= 0.16


def test_pace_comes_between_two_chunks(ask: Ask) -> None:
    started = time.monotonic()
    ask("[[tokens=4]] [[pace=40]]", stream=True)
    assert time.monotonic() - started >= 3 * 0.04


def test_silence_comes_once_after_the_first_chunk(ask: Ask) -> None:
    started = time.monotonic()
    answer = ask("[[tokens=4]] [[silence=80]] [[split=100000]]", stream=True)
    assert 0.08 <= time.monotonic() - started < 0.16
    before, _ = answer.chunks
    assert b"Hello" in before
    assert b" from" not in before


def test_silence_does_nothing_to_a_whole_answer(ask: Ask) -> None:
    started = time.monotonic()
    assert ask("[[silence=5000]]").status == 200
    assert time.monotonic() - started < 5


def test_client_that_leaves_in_the_silence_is_noticed(
    connect: Callable[[], RawConnection], simulator: RunningSimulator
) -> None:
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": "[[tokens=9]] [[silence=30000]]"}],
    }
    with connect() as connection:
        connection.send("POST", "/v1/chat/completions", body, {"authorization": "Bearer k"})
        connection.read_until(b"Hello")
    (call,) = simulator.calls()
    assert (call["finished"], call["sent_chunks"]) == (False, 1)


def test_failed_is_an_error_in_the_stream(ask: Ask, dialect: str) -> None:
    answer = ask("[[tokens=9]] [[failed=2]]", stream=True)
    assert words_in(answer, dialect) == 2
    assert "error" in orjson.loads(answer.body.rstrip(b"\n").rpartition(b"data: ")[2])
    assert ask("[[failed=2]]").status == 200


def test_garbage_is_no_json(ask: Ask, simulator: RunningSimulator) -> None:
    answer = ask("[[garbage]]")
    assert answer.status == 200
    assert answer.header("content-type") == "application/json"
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.body)
    assert simulator.calls()[0]["finished"]


def test_garbage_in_a_stream_breaks_off_within_an_event(ask: Ask, dialect: str) -> None:
    answer = ask("[[garbage]]", stream=True)
    assert CONTENT_OPENING[dialect] in answer.body
    assert words_in(answer, dialect) == 0
    assert not answer.body.endswith(b"\n\n")


def test_redirect_leads_nowhere(ask: Ask) -> None:
    answer = ask("[[redirect]]")
    assert answer.status == 302
    assert answer.header("location") == "http://127.0.0.1:1/"


def test_client_may_send_its_next_request_while_the_first_is_answered(
    simulator: RunningSimulator,
) -> None:
    body = orjson.dumps(
        {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[delay=20]]"}]}
    )
    head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    with RawConnection(simulator.host, simulator.port) as connection:
        connection.send_bytes(request + request.replace(b"[[delay=20]]", b"the last one"))
        connection.read_until(b'"finish_reason"')
        connection.read_until(b'"finish_reason"', times=2)
    assert [call["finished"] for call in simulator.calls()] == [True, True]


def test_long_stream_does_not_keep_others_waiting(
    connect: Callable[[], RawConnection], ask: Ask, simulator: RunningSimulator
) -> None:
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": "[[tokens=1000000]]"}],
    }
    with connect() as connection:
        connection.send("POST", "/v1/chat/completions", body, {"authorization": "Bearer k"})
        connection.read_until(b"Hello")
        assert ask("hi").status == 200
    long, short = simulator.calls()
    assert short["finished"]
    assert not long["finished"]
