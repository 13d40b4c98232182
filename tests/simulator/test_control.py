"""Orders given by ``/_control``, and the calls read from it."""

from base64 import b64encode
from collections.abc import Callable

import orjson
import pytest

from simulator.raw_http import RawAnswer, RawConnection
from simulator.testing import Recorded, RunningSimulator, SimulatorError

Ask = Callable[..., RawAnswer]


def test_recorded_body_is_sent_as_given(ask_openai: Ask, simulator: RunningSimulator) -> None:
    answer = Recorded(
        content=b"\x00\xffraw",
        status=218,
        headers={"content-type": "text/odd", "x-many": ["1", "2"]},
    )
    simulator.record(answer, {"model": "gpt-4o-mini"})
    got = ask_openai("hi")
    assert (got.status, got.body) == (218, b"\x00\xffraw")
    assert got.header("content-type") == "text/odd"
    assert [value for name, value in got.headers if name == "x-many"] == ["1", "2"]


def test_recorded_chunks_are_sent_one_by_one(ask_openai: Ask, simulator: RunningSimulator) -> None:
    chunks = [b"data: {", b"}\n", b"\n"]
    simulator.record(Recorded(content=chunks), {})
    got = ask_openai("hi", stream=True)
    assert list(got.chunks) == chunks
    assert got.header("content-type") == "text/event-stream; charset=utf-8"
    assert simulator.calls()[0]["usage"] is None


@pytest.mark.parametrize("chunks", [[], [b"data: {", b"}\n\n"]], ids=["at once", "later"])
def test_recorded_answer_may_break_off(
    ask_openai: Ask, simulator: RunningSimulator, chunks: list[bytes]
) -> None:
    simulator.record(Recorded(content=chunks, reset=True), {})
    got = ask_openai("hi", stream=True)
    assert got.body == b"".join(chunks)
    assert got.was_reset


def test_recorded_answer_serves_one_call_unless_told_otherwise(
    ask_openai: Ask, simulator: RunningSimulator
) -> None:
    simulator.record(Recorded(content=b"1"), {})
    simulator.record(Recorded(content=b"2"), {}, times=2)
    assert [ask_openai("hi").body[:1] for _ in range(4)] == [b"1", b"2", b"2", b"{"]


def test_recorded_answer_serves_any_path(post: Ask, simulator: RunningSimulator) -> None:
    simulator.record(Recorded(content=b"{}"), {"model": "gpt-4o"}, times=None)
    assert post("/v1/nowhere", {"model": "gpt-4o"}).body == b"{}"
    assert post("/v1/nowhere", {"model": "gpt-5"}).status == 404


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"model": "gpt-4o-mini"}, True),
        ({"model": "gpt-4o"}, False),
        ({"marker": "case 7"}, True),
        ({"marker": "case 8"}, False),
        ({"model": "gpt-4o-mini", "marker": "case 7"}, True),
        ({"model": "gpt-4o", "marker": "case 7"}, False),
    ],
)
def test_order_is_for_matching_calls_only(
    ask_openai: Ask, simulator: RunningSimulator, match: dict[str, str], *, fits: bool
) -> None:
    simulator.fault("[[status=503]]", match)
    assert ask_openai("this is case 7").status == (503 if fits else 200)


def test_fault_stays_until_cleared(ask_openai: Ask, simulator: RunningSimulator) -> None:
    simulator.fault("[[status=503]]", {})
    assert [ask_openai("hi").status for _ in range(3)] == [503] * 3
    simulator.clear()
    assert ask_openai("hi").status == 200


def test_fault_can_be_for_some_calls_only(ask_openai: Ask, simulator: RunningSimulator) -> None:
    simulator.fault("[[status=503]]", {}, times=1)
    assert [ask_openai("hi").status for _ in range(2)] == [503, 200]


def test_faults_combine_and_the_prompt_has_the_last_word(
    ask_openai: Ask, simulator: RunningSimulator
) -> None:
    simulator.fault("[[tokens=3]] [[cached=2]]", {})
    simulator.fault("[[reasoning=4]]", {})
    usage = orjson.loads(ask_openai("[[tokens=5]]").body)["usage"]
    assert usage["completion_tokens"] == 9
    assert usage["prompt_tokens_details"]["cached_tokens"] == 2


def test_call_is_told_with_what_was_asked_and_billed(
    ask_openai: Ask, simulator: RunningSimulator
) -> None:
    answer = ask_openai("hi [[tokens=5]] [[cached=1]]", stream=True)
    (call,) = simulator.calls()
    assert call["request_id"] == answer.header("x-request-id")
    assert (call["method"], call["path"]) == ("POST", "/v1/chat/completions")
    assert (call["model"], call["stream"], call["status"]) == ("gpt-4o-mini", True, 200)
    assert (call["finished"], call["ended"], call["sent_chunks"]) == (True, True, 5)
    assert call["request_body"] == {
        "model": "gpt-4o-mini",
        "stream": True,
        "messages": [{"role": "user", "content": "hi [[tokens=5]] [[cached=1]]"}],
    }
    assert call["usage"] == {
        "input_tokens": 14,
        "output_tokens": 5,
        "cached_input_tokens": 1,
        "cache_write_5m": 0,
        "cache_write_1h": 0,
        "reasoning_tokens": 0,
    }


def test_query_of_a_call_is_told(post: Ask, simulator: RunningSimulator) -> None:
    post("/v1/chat/completions?beta=true", {})
    assert simulator.calls()[0]["query"] == "beta=true"


def test_credentials_are_masked(
    ask_openai: Ask, ask_anthropic: Ask, simulator: RunningSimulator
) -> None:
    ask_openai("hi")
    ask_anthropic("hi")
    first, second = (call["request_headers"] for call in simulator.calls())
    assert first["authorization"] == "****1234"
    assert second["x-api-key"] == "****1234"
    assert second["anthropic-version"] == "2023-06-01"
    assert first["content-type"] == "application/json"


def test_refused_call_is_told_and_not_billed(post: Ask, simulator: RunningSimulator) -> None:
    post("/v1/chat/completions", b"{", {})
    (call,) = simulator.calls()
    assert (call["status"], call["model"], call["request_body"]) == (401, None, None)
    assert (call["finished"], call["usage"]) == (True, None)


def test_calls_can_be_cleared_without_the_rules(
    ask_openai: Ask, simulator: RunningSimulator
) -> None:
    simulator.fault("[[status=503]]", {})
    ask_openai("hi")
    simulator.clear_calls()
    assert simulator.calls() == []
    assert ask_openai("hi").status == 503


def test_counts_are_told(connect: Callable[[], RawConnection], simulator: RunningSimulator) -> None:
    simulator.fault("[[crlf]]", {})
    with connect() as connection:
        connection.send("GET", "/_control", b"", {})
        answer = connection.read_to_end()
    assert orjson.loads(answer.body) == {"recorded": 0, "faults": 1, "calls": 0}


@pytest.mark.parametrize(
    ("path", "order", "reason"),
    [
        ("fault", b"{", "not JSON"),
        ("fault", [], "not a JSON object"),
        ("fault", {"scenario": "[[crlf]]"}, "match must be an object"),
        ("fault", {"match": {"path": "x"}, "scenario": "[[crlf]]"}, "match must be an object"),
        ("fault", {"match": {"model": 5}, "scenario": "[[crlf]]"}, "must be text"),
        ("fault", {"match": {}}, "scenario must be text"),
        ("fault", {"match": {}, "scenario": "[[slow]]"}, "no such marker: [[slow]]"),
        ("fault", {"match": {}, "scenario": "crlf"}, "no such marker: crlf"),
        ("fault", {"match": {}, "scenario": "[[cut=x]]"}, "bad marker"),
        ("fault", {"match": {}, "scenario": "[[crlf]]", "times": 0}, "times must be"),
        ("recorded", {"match": {}}, "one of body_b64 and chunks_b64"),
        ("recorded", {"match": {}, "body_b64": "", "chunks_b64": []}, "one of body_b64"),
        ("recorded", {"match": {}, "body_b64": "!"}, "must be base64"),
        ("recorded", {"match": {}, "chunks_b64": [5]}, "must be base64"),
        ("recorded", {"match": {}, "body_b64": "", "status": "200"}, "status must be"),
        ("recorded", {"match": {}, "body_b64": "", "headers": []}, "headers must be"),
        ("recorded", {"match": {}, "body_b64": "", "reset": 1}, "reset must be"),
    ],
)
def test_order_that_makes_no_sense_is_refused(
    post: Ask, path: str, order: object, reason: str
) -> None:
    answer = post(f"/_control/{path}", order)
    assert answer.status == 400
    assert reason in orjson.loads(answer.body)["error"]


def test_unknown_order_is_not_found(post: Ask) -> None:
    assert post("/_control/nowhere", {}).status == 404


def test_senseless_wait_is_refused(
    connect: Callable[[], RawConnection], simulator: RunningSimulator
) -> None:
    with connect() as connection:
        connection.send("GET", "/_control/calls?wait=long", b"", {})
        assert connection.read_to_end().status == 400
    with pytest.raises(SimulatorError, match="no such marker"):
        simulator.fault("[[nothing]]", {})


def test_base64_is_what_the_wire_carries(post: Ask, ask_openai: Ask) -> None:
    order = {"match": {"marker": "raw"}, "body_b64": b64encode(b"raw bytes").decode()}
    assert post("/_control/recorded", order).status == 200
    assert ask_openai("give me raw").body == b"raw bytes"
