"""Whoever goes away in the middle of a call, worker or client: it is booked once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.caller import DIALECTS, Caller, Dialect
from tests.e2e.stories import STREAM_END, KilledWorker
from tests.running import wait_for

# The first that asks for a story waits for its end.
pytestmark = pytest.mark.timeout(200)


def test_calls_of_a_killed_worker_are_booked_within_a_minute(killed_worker: KilledWorker) -> None:
    broken = [stream for _, stream in killed_worker.streams if stream.is_broken]
    # On a busy machine one worker may have taken all of them.
    assert broken
    for stream in broken:
        entry = killed_worker.entries[stream.headers["x-request-id"]]
        assert (entry["outcome"], entry["confidence"]) == ("gateway_error", "estimated")
        assert 0 < entry["cost_nano_usd"] <= entry["held_nano_usd"]
    assert killed_worker.leases == 0
    assert killed_worker.seconds < 60


def test_streams_of_the_other_worker_do_not_notice(killed_worker: KilledWorker) -> None:
    for dialect, stream in killed_worker.streams:
        if not stream.is_broken:
            assert STREAM_END[dialect] in stream.received
            entry = killed_worker.entries[stream.headers["x-request-id"]]
            assert (entry["outcome"], entry["confidence"]) == ("success", "reported")
    assert killed_worker.is_other_alive


def test_killed_worker_is_replaced_and_calls_go_on(killed_worker: KilledWorker) -> None:
    assert killed_worker.workers_after == 2
    assert {answer.status for answer in killed_worker.answers_after} == {200}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_stream_whose_client_left_is_read_to_its_end_for_the_exact_cost(
    caller: Caller, dialect: Dialect
) -> None:
    stream = caller.stream(dialect, "[[tokens=40]] [[pace=10]] [[cached=3]]")
    stream.read_until(b"Hello")
    stream.leave()
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["usage_status"], entry["confidence"]) == (
        "cancelled",
        "exact",
        "reported",
    )
    assert entry["output_tokens"] == 40
    assert entry["cost_nano_usd"] == caller.billed()
    assert (entry["cancellations"], entry["failures"]) == (1, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_call_whose_client_left_before_the_first_byte_is_booked_exactly(
    caller: Caller, dialect: Dialect, way: str
) -> None:
    prompt = "[[delay=300]] [[tokens=40]] [[pace=5]]"
    connection = caller.send(dialect, prompt, stream=way == "streamed")
    wait_for(lambda: caller.account()[1] > 0, "the call is admitted")
    connection.close()
    (entry,) = caller.booked_once(1)
    assert (entry["usage_status"], entry["confidence"]) == ("exact", "reported")
    assert entry["outcome"] == ("cancelled" if way == "streamed" else "success")
    assert entry["cost_nano_usd"] == caller.billed()


def test_many_clients_that_leave_at_any_moment_lose_nothing(caller: Caller) -> None:
    def come_and_go(number: int) -> None:
        dialect = DIALECTS[number % 2]
        stream = caller.stream(dialect, f"[[tokens={number}]] [[pace=2]]")
        while len(stream.received) < number * 40:
            if not stream.read_some():
                break
        stream.leave()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(come_and_go, range(60)))
    entries = caller.booked_once(60)
    assert {entry["confidence"] for entry in entries} == {"reported"}
    assert sum(entry["cost_nano_usd"] for entry in entries) == caller.billed()
    assert {entry["outcome"] for entry in entries} <= {"cancelled", "success"}


def test_provider_is_stopped_at_once_where_that_is_chosen(killed_worker: KilledWorker) -> None:
    entries = {entry["provider"]: entry for entry in killed_worker.abandoned}
    for provider, usage_status in (("openai", "missing"), ("anthropic", "partial")):
        entry = entries[provider]
        assert (entry["outcome"], entry["usage_status"], entry["confidence"]) == (
            "cancelled",
            usage_status,
            "counted",
        )
        assert 0 < entry["output_tokens"] < 200
        assert 0 < entry["cost_nano_usd"] <= entry["held_nano_usd"]
    assert all(call["ended"] and not call["finished"] for call in killed_worker.abandoned_calls)


def test_client_that_does_not_read_has_left(killed_worker: KilledWorker) -> None:
    (entry,) = killed_worker.unread
    assert (entry["outcome"], entry["confidence"]) == ("cancelled", "counted")
    assert 0 < entry["output_tokens"] < 100_000
