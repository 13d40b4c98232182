"""Every way in which a stream can end: what the client gets, and that it is settled once."""

from collections.abc import Callable
from threading import Event

import pytest

from ai_gateway.domain.exchange import ByteStream
from ai_gateway.errors import CallEnded, GatewayError, UpstreamTimeout, UpstreamUnavailable
from ai_gateway.providers.sse import MAX_EVENT_BYTES
from ai_gateway.services.open_calls import EndReason
from ai_gateway.services.relay import DRAINS_AT_ONCE, PING, Drains
from tests.providers.scripted import SILENCE, WAIT_SECONDS, ScriptedResponse
from tests.running import wait_for
from tests.services.workbench import (
    DONE,
    FAR,
    Options,
    Workbench,
    chat_event,
    usage_event,
)

COST = 10 + 5 * 10
"""Of the usage that `usage_event` tells."""

HELLO = chat_event("hello")
WHOLE = (HELLO, chat_event("!"), usage_event(), DONE)
BROKEN = UpstreamUnavailable("lab", was_sent=True)


@pytest.fixture
def key(bench: Workbench) -> str:
    return bench.make_key()


def drained(bench: Workbench) -> None:
    """Wait until the last running call is settled; a drain has a thread of its own."""
    wait_for(lambda: len(bench.open_calls) == 0, "the call is settled", WAIT_SECONDS)


def take(stream: ByteStream, events: int) -> bytes:
    """Read so many events; more would have to wait for something that the test holds back."""
    iterator, body = iter(stream), b""
    while body.count(b"\n\n") < events:
        body += next(iterator)
    return body


def read_on(stream: ByteStream) -> tuple[bytes, GatewayError | None]:
    """Read to the end or to the error, then close, as the server does."""
    body = b""
    try:
        for chunk in stream:
            body += chunk
    except GatewayError as error:
        return body, error
    finally:
        stream.close()
    return body, None


def is_settled_once(bench: Workbench, response: ScriptedResponse, outcome: str) -> bool:
    """One entry, one fact for the observers, nothing held, the connection closed."""
    drained(bench)
    entry = bench.entry()
    (fact,) = bench.watcher.settled_calls
    assert fact.finished.outcome == outcome
    assert response.closed == 1
    names = bench.client.keys("{agw}:account:*")
    assert {bench.client.hget(name, "held") for name in names} == {"0"}
    return entry.words["outcome"] == outcome


def test_whole_stream_is_relayed_but_for_usage_that_was_not_asked_for(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(*WHOLE)
    body, error = read_on(bench.stream(key, response))
    assert (body, error) == (b"".join((WHOLE[0], WHOLE[1], WHOLE[3])), None)
    assert is_settled_once(bench, response, "success")
    assert bench.entry().total == COST
    assert bench.entry().words["confidence"] == "reported"


def test_usage_is_relayed_to_who_asked_for_it(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(*WHOLE)
    stream = bench.stream(key, response, stream_options={"include_usage": True})
    assert read_on(stream)[0] == b"".join(WHOLE)


def test_events_go_on_as_soon_as_they_are_whole(bench: Workbench, key: str) -> None:
    gates = [Event(), Event()]
    response = ScriptedResponse(HELLO + WHOLE[1][:9], gates[0], WHOLE[1][9:], gates[1], *WHOLE[2:])
    stream = bench.stream(key, response)
    for gate, event in zip(gates, WHOLE, strict=False):
        assert take(stream, 1) == event
        gate.set()
    assert read_on(stream) == (DONE, None)


def test_what_has_arrived_goes_on_at_once(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO * 20 + HELLO[:9], SILENCE)
    stream = bench.stream(key, response)
    assert next(iter(stream)) == HELLO * 20
    stream.close()
    response.interrupt()
    drained(bench)


def test_client_that_reads_nothing_stops_the_reader(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(*[HELLO] * 1_000, *WHOLE)
    stream = bench.stream(key, response)
    (open_call,) = bench.open_calls._calls.values()
    assert open_call.text_bytes() == 0
    assert next(iter(stream)) == HELLO
    assert open_call.text_bytes() == 5
    assert read_on(stream)[0].count(b"hello") == 1_000
    assert is_settled_once(bench, response, "success")


def test_client_that_leaves_unread_parts_is_drained(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(*[HELLO] * 1_000, *WHOLE)
    bench.stream(key, response).close()
    assert is_settled_once(bench, response, "cancelled")
    assert bench.entry().total == COST


def test_client_that_closes_after_the_last_event_has_had_success(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(*WHOLE, SILENCE)
    stream = bench.stream(key, response)
    take(stream, 3)
    stream.close()
    assert is_settled_once(bench, response, "success")
    assert bench.entry().total == COST


def test_error_event_stays_an_error_for_a_client_that_closes_after_the_last_event(
    bench: Workbench, key: str
) -> None:
    failed = chat_event(error={"message": "x"})
    response = ScriptedResponse(HELLO, failed, DONE, SILENCE)
    stream = bench.stream(key, response)
    take(stream, 3)
    stream.close()
    assert is_settled_once(bench, response, "upstream_error")


def test_closing_again_and_reading_on_change_nothing(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(*WHOLE)
    stream = bench.stream(key, response)
    read_on(stream)
    stream.close()
    assert list(stream) == []
    assert is_settled_once(bench, response, "success")


def test_closing_again_while_it_is_drained_changes_nothing(bench: Workbench, key: str) -> None:
    gate = Event()
    response = ScriptedResponse(HELLO, gate, *WHOLE[1:])
    stream = bench.stream(key, response)
    take(stream, 1)
    stream.close()
    stream.close()
    assert list(stream) == []
    gate.set()
    assert is_settled_once(bench, response, "cancelled")


# The client leaves


@pytest.mark.parametrize("heard", [0, 1, 2], ids=["before the first", "after one", "after two"])
def test_stream_of_a_client_that_leaves_is_read_to_its_exact_usage(
    bench: Workbench, key: str, heard: int
) -> None:
    gate = Event()
    response = ScriptedResponse(*WHOLE[:heard], gate, *WHOLE[heard:])
    stream = bench.stream(key, response)
    take(stream, heard)
    stream.close()
    gate.set()
    assert is_settled_once(bench, response, "cancelled")
    entry = bench.entry()
    assert (entry.total, entry.words["confidence"]) == (COST, "reported")
    assert (entry.tally["cancellations"], entry.tally["failures"]) == (1, 0)


def test_client_that_leaves_before_it_has_all_that_arrived_has_cancelled(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(HELLO, b"".join(WHOLE))
    stream = bench.stream(key, response)
    take(stream, 1)
    stream.close()
    assert is_settled_once(bench, response, "cancelled")
    assert bench.entry().total == COST


@pytest.mark.parametrize("heard", [0, 1], ids=["before the first", "after one"])
def test_stream_is_cut_off_and_counted_where_draining_is_off(
    make_bench: Callable[..., Workbench], heard: int
) -> None:
    bench = make_bench(Options(drains=Drains(is_on=False)))
    response = ScriptedResponse(*WHOLE[:heard], SILENCE, *WHOLE[heard:])
    stream = bench.stream(bench.make_key(), response)
    take(stream, heard)
    stream.close()
    assert is_settled_once(bench, response, "cancelled")
    entry = bench.entry()
    assert (entry.words["usage_status"], entry.words["confidence"]) == ("missing", "counted")
    assert entry.tally["output_tokens"] == (2 if heard else 0)
    assert entry.total > 0


def test_stream_is_cut_off_where_too_many_are_drained(
    make_bench: Callable[..., Workbench],
) -> None:
    drains = Drains(is_on=True)
    assert all(drains.enter() for _ in range(DRAINS_AT_ONCE))
    assert not drains.enter()
    bench = make_bench(Options(drains=drains))
    response = ScriptedResponse(HELLO, SILENCE, *WHOLE)
    stream = bench.stream(bench.make_key(), response)
    take(stream, 1)
    stream.close()
    assert is_settled_once(bench, response, "cancelled")
    assert bench.entry().words["confidence"] == "counted"
    assert not drains.enter()


def test_place_of_a_drain_is_free_again_when_it_is_over(
    make_bench: Callable[..., Workbench],
) -> None:
    drains = Drains(is_on=True)
    for _ in range(DRAINS_AT_ONCE - 1):
        drains.enter()
    bench = make_bench(Options(drains=drains))
    gate = Event()
    bench.stream(bench.make_key(), ScriptedResponse(gate, *WHOLE)).close()
    assert not drains.enter()
    gate.set()
    drained(bench)
    wait_for(drains.enter, "the place is free again")


def test_drain_that_breaks_off_settles_what_is_known(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO, BROKEN)
    stream = bench.stream(key, response)
    stream.close()
    assert is_settled_once(bench, response, "cancelled")
    assert bench.entry().words["usage_status"] == "missing"
    assert bench.entry().tally["output_tokens"] == 2


def test_drain_that_takes_too_long_is_ended(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO, SILENCE)
    stream = bench.stream(key, response)
    take(stream, 1)
    stream.close()
    assert response.is_waited_for.wait(WAIT_SECONDS)
    (open_call,) = bench.open_calls._calls.values()
    assert open_call.deadline is not None
    # Its time is over.
    open_call.deadline = 0.0
    bench.open_calls._end_overdue()
    assert is_settled_once(bench, response, "cancelled")


def test_answer_of_anthropic_is_drained_as_well(bench: Workbench, key: str) -> None:
    start = (
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}'
    )
    delta = b'data: {"type":"message_delta","usage":{"output_tokens":5}}'
    response = ScriptedResponse(
        start + b"\n\n", delta + b"\n\n", b'data: {"type":"message_stop"}\n\n'
    )
    stream = bench.stream(key, response, to=FAR)
    stream.close()
    assert is_settled_once(bench, response, "cancelled")
    assert bench.entry().total == 9 * 2 + 5 * 20


# The provider breaks off


def test_stream_that_ends_without_its_end_has_failed(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO)
    body, error = read_on(bench.stream(key, response))
    assert body == HELLO
    assert isinstance(error, UpstreamUnavailable)
    assert is_settled_once(bench, response, "upstream_error")
    assert bench.entry().words["confidence"] == "counted"
    assert bench.watcher.settled_calls[0].upstream == "invalid_response"


def test_stream_that_says_by_the_connection_alone_where_it_ends_may_be_cut(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(HELLO)
    response.tells_its_end = False
    read_on(bench.stream(key, response))
    assert bench.watcher.settled_calls[0].upstream == "stream_cut"


def test_bytes_that_are_no_text_are_no_answer(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(b"data: \xff\xfe{\n\n", b"data: ][")
    _, error = read_on(bench.stream(key, response))
    assert isinstance(error, UpstreamUnavailable)
    assert bench.watcher.settled_calls[0].upstream == "invalid_response"
    assert bench.entry().words["confidence"] == "counted"


def test_unfinished_event_at_the_end_goes_on(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO, b"data: [DONE]")
    body, error = read_on(bench.stream(key, response))
    assert (body, error) == (HELLO + b"data: [DONE]", None)
    assert is_settled_once(bench, response, "success")


@pytest.mark.parametrize(
    ("broken", "outcome"),
    [
        pytest.param(BROKEN, "upstream_error", id="connection"),
        pytest.param(UpstreamTimeout("lab"), "upstream_timeout", id="silence"),
    ],
)
@pytest.mark.parametrize("before", [(), (HELLO,)], ids=["at once", "later"])
def test_error_of_the_provider_reaches_the_client(
    bench: Workbench, key: str, broken: GatewayError, outcome: str, before: tuple[bytes, ...]
) -> None:
    response = ScriptedResponse(*before, broken)
    body, error = read_on(bench.stream(key, response))
    assert body == b"".join(before)
    assert error is broken
    assert is_settled_once(bench, response, outcome)
    assert bench.watcher.settled_calls[0].upstream in {"stream_cut", "timeout"}
    assert bench.entry().total > 0


def test_error_event_is_relayed_and_is_an_error(bench: Workbench, key: str) -> None:
    failed = chat_event(error={"message": "x"})
    response = ScriptedResponse(HELLO, failed)
    body, error = read_on(bench.stream(key, response))
    assert (body, error) == (HELLO + failed, None)
    assert is_settled_once(bench, response, "upstream_error")


def test_event_without_an_end_ends_the_stream_and_is_counted(bench: Workbench, key: str) -> None:
    endless = [b"data: "] + [b"x" * 2**20] * (MAX_EVENT_BYTES // 2**20)
    response = ScriptedResponse(HELLO, *endless, SILENCE)
    body, error = read_on(bench.stream(key, response))
    assert (body, type(error)) == (HELLO, UpstreamUnavailable)
    assert is_settled_once(bench, response, "upstream_error")
    assert bench.watcher.settled_calls[0].upstream == "invalid_response"
    assert bench.entry().words["usage_status"] == "missing"
    assert bench.entry().total > 0


FINISHED = chat_event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])


def test_stream_without_done_that_finished_and_told_its_usage_is_a_success(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(HELLO, FINISHED, usage_event())
    body, error = read_on(bench.stream(key, response))
    assert (body, error) == (HELLO + FINISHED, None)
    assert is_settled_once(bench, response, "success")
    assert bench.entry().total == COST


def test_stream_without_done_that_broke_off_has_failed_though_its_usage_is_known(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(HELLO, FINISHED, usage_event(), BROKEN)
    assert read_on(bench.stream(key, response))[1] is BROKEN
    assert is_settled_once(bench, response, "upstream_error")
    assert bench.entry().words["confidence"] == "reported"


def test_usage_that_came_before_the_break_is_booked(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO, usage_event(), BROKEN)
    _, error = read_on(bench.stream(key, response))
    assert error is BROKEN
    assert is_settled_once(bench, response, "upstream_error")
    assert bench.entry().total == COST


# The gateway ends it


@pytest.mark.parametrize("reason", EndReason)
def test_stream_that_the_gateway_ends_says_why(
    bench: Workbench, key: str, reason: EndReason
) -> None:
    response = ScriptedResponse(HELLO, SILENCE, *WHOLE)
    stream = bench.stream(key, response)
    take(stream, 1)
    (open_call,) = bench.open_calls._calls.values()
    open_call.end(reason)
    open_call.end(EndReason.STOPPING)
    _, error = read_on(stream)
    assert isinstance(error, CallEnded)
    assert (error.reason, error.provider) == (reason, "lab")
    assert is_settled_once(bench, response, "gateway_error")
    assert bench.entry().tally["output_tokens"] == 2


def test_stream_that_was_whole_before_it_was_ended_is_whole(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(*WHOLE, SILENCE)
    stream = bench.stream(key, response)
    take(stream, 3)
    (open_call,) = bench.open_calls._calls.values()
    open_call.end(EndReason.STOPPING)
    assert read_on(stream) == (b"", None)
    assert is_settled_once(bench, response, "success")


def test_stop_ends_a_stream_that_waits_and_settles_it(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO, SILENCE)
    stream = bench.stream(key, response)
    take(stream, 1)
    stream.close()
    assert response.is_waited_for.wait(WAIT_SECONDS)
    bench.open_calls.end_all()
    assert is_settled_once(bench, response, "cancelled")


def test_client_that_leaves_a_stream_which_the_gateway_ended_is_settled_once(
    bench: Workbench, key: str
) -> None:
    response = ScriptedResponse(HELLO, SILENCE, *WHOLE)
    stream = bench.stream(key, response)
    (open_call,) = bench.open_calls._calls.values()
    open_call.end(EndReason.REVOKED)
    stream.close()
    assert is_settled_once(bench, response, "cancelled")


def test_fault_of_ours_in_the_reader_ends_the_stream(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(HELLO, ZeroDivisionError("a fault of ours"))
    body, error = read_on(bench.stream(key, response))
    assert (body, type(error)) == (HELLO, CallEnded)
    assert is_settled_once(bench, response, "gateway_error")


# Silence


@pytest.fixture
def pinging(make_bench: Callable[..., Workbench]) -> Workbench:
    """Calls whose silence is noticed at once."""
    return make_bench(Options(ping_seconds=0.01))


def test_client_hears_pings_in_a_silence_and_between_events_only(pinging: Workbench) -> None:
    gates = [Event(), Event(), Event()]
    response = ScriptedResponse(
        gates[0], HELLO[:9], gates[1], HELLO[9:], gates[2], *WHOLE[1:], SILENCE
    )
    stream = pinging.stream(pinging.make_key(), response)
    iterator = iter(stream)
    for gate in gates:
        pings = [part for part in (next(iterator) for _ in range(8)) if part != HELLO]
        assert set(pings) == {PING}
        gate.set()
    rest = b""
    while DONE not in rest:
        rest += next(iterator)
    stream.close()
    assert rest.replace(PING, b"") == WHOLE[1] + DONE
    assert is_settled_once(pinging, response, "success")


def test_client_that_leaves_in_a_silence_is_drained(pinging: Workbench) -> None:
    gate = Event()
    response = ScriptedResponse(HELLO, gate, *WHOLE)
    stream = pinging.stream(pinging.make_key(), response)
    iterator = iter(stream)
    while next(iterator) != PING:
        pass
    # The server could not write the ping.
    stream.close()
    gate.set()
    assert is_settled_once(pinging, response, "cancelled")
    assert pinging.entry().total == COST


def test_stream_that_flows_has_no_pings(bench: Workbench, key: str) -> None:
    assert b"ping" not in read_on(bench.stream(key, ScriptedResponse(*WHOLE)))[0]


# What else is told


def test_time_to_the_first_token_is_that_of_the_first_content(bench: Workbench, key: str) -> None:
    response = ScriptedResponse(b": note\n\n", chat_event(""), *WHOLE)
    read_on(bench.stream(key, response))
    assert bench.watcher.settled_calls[0].finished.ttft_ms is not None


def test_stream_without_content_has_no_time_to_the_first_token(bench: Workbench, key: str) -> None:
    read_on(bench.stream(key, ScriptedResponse(usage_event(), DONE)))
    assert bench.watcher.settled_calls[0].finished.ttft_ms is None


def test_progress_of_a_running_stream_is_known(bench: Workbench, key: str) -> None:
    gates = [Event(), Event()]
    response = ScriptedResponse(gates[0], HELLO, gates[1], *WHOLE[1:])
    stream = bench.stream(key, response)
    (open_call,) = bench.open_calls._calls.values()
    seen = [open_call.text_bytes()]
    gates[0].set()
    take(stream, 1)
    seen.append(open_call.text_bytes())
    gates[1].set()
    read_on(stream)
    assert seen == [0, 5]
