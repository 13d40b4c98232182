"""A worker is killed, the gateway stops and starts, Valkey goes away: every call is booked once.

Both stories are told at once, since most of their time is waiting.
"""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.stories import (
    STORIES,
    STREAM_END,
    Answers,
    KilledWorker,
    Restart,
    caller_ids,
)

# The first that asks for a story waits for its end.
pytestmark = [pytest.mark.long, pytest.mark.timeout(200)]


@pytest.fixture(scope="module")
def stories(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """Those that the tests of this run look at."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {
            name: pool.submit(story, tmp_path_factory.mktemp(name))
            for name, story in STORIES.items()
            if name in wanted
        }


@pytest.fixture(scope="module")
def killed_worker(stories: dict[str, Future[KilledWorker]]) -> KilledWorker:
    return stories["killed_worker"].result()


@pytest.fixture(scope="module")
def restart(stories: dict[str, Future[Restart]]) -> Restart:
    return stories["restart"].result()


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


def test_stop_ends_well(restart: Restart) -> None:
    assert restart.exit_code == 0


def test_streams_that_end_soon_are_waited_for_at_the_stop(restart: Restart) -> None:
    for dialect, stream in restart.short:
        assert STREAM_END[dialect] in stream.received
    for request_id in caller_ids(restart.short):
        entry = restart.entries[request_id]
        assert (entry["outcome"], entry["confidence"]) == ("success", "reported")


def test_streams_that_do_not_end_are_ended_with_an_error_event_and_settled(
    restart: Restart,
) -> None:
    for dialect, stream in restart.long:
        assert not stream.is_broken
        last = stream.received.strip().splitlines()[-2:]
        assert b"the gateway is restarting" in last[1]
        assert (last[0] == b"event: error") == (dialect == "anthropic")
    for request_id in caller_ids(restart.long):
        entry = restart.entries[request_id]
        assert (entry["outcome"], entry["confidence"]) == ("gateway_error", "counted")
        # 20 words a second for the 22 seconds that a stop waits.
        assert 200 < entry["output_tokens"] < 1200


def test_key_and_sums_go_on_after_the_next_start(restart: Restart) -> None:
    assert [answer.status for answer in restart.answers_again] == [200, 200]
    total = sum(entry["cost_nano_usd"] for entry in restart.entries.values())
    assert total > restart.spent_before > 0
    assert restart.counters_after == dict.fromkeys(("user", "key", "installation"), (total, 0))


def test_first_password_is_shown_only_once(restart: Restart) -> None:
    assert re.search(r"admin with the password \S+", restart.said_first)
    assert "Ctrl-C" in restart.said_again
    assert "password" not in restart.said_again
    assert "agw_" not in restart.said_again


def assert_refused_in_time(answers: Answers) -> None:
    for dialect, answer in answers:
        assert answer.status == 503
        assert answer.seconds < 2
        assert answer.headers["x-should-retry"] == "true"
        assert int(answer.headers["retry-after"]) > 0
        error = answer.error(dialect)
        if dialect == "openai":
            assert (error["type"], error["code"]) == ("server_error", "budget_unavailable")
        else:
            assert error["type"] == "overloaded_error"


def test_call_is_refused_within_a_second_while_valkey_hangs(killed_worker: KilledWorker) -> None:
    assert_refused_in_time(killed_worker.answers_while_valkey_hung)


def test_call_that_was_refused_while_valkey_hung_costs_nothing(killed_worker: KilledWorker) -> None:
    assert {entry["outcome"] for entry in killed_worker.entries_of_hung} == {"success"}


def test_call_is_refused_within_a_second_while_valkey_is_gone(restart: Restart) -> None:
    assert_refused_in_time(restart.answers_without_valkey)


def test_streams_do_not_notice_that_valkey_went_away_and_are_settled_later(
    restart: Restart,
) -> None:
    for dialect, stream in restart.streams_without_valkey:
        assert STREAM_END[dialect] in stream.received
    entries = {entry["request_id"]: entry for entry in restart.entries_in_the_end}
    for request_id in caller_ids(restart.streams_without_valkey):
        assert entries[request_id]["confidence"] == "reported"


def test_sums_are_exact_after_valkey_was_killed(restart: Restart) -> None:
    total = sum(entry["cost_nano_usd"] for entry in restart.entries_in_the_end)
    assert restart.spent_in_the_end == (total, 0)
    assert restart.billed_in_the_end == total
