"""Running calls: kept alive in Redis, and ended when they must not go on."""

from collections.abc import Callable
from queue import Queue

import pytest
import redis

from ai_gateway.domain.limits import BUDGETS
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.admission import Admitted
from ai_gateway.services.open_calls import EndReason, OpenCall
from ai_gateway.services.settlement import NOTHING_TOLD
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import LEASE_MS
from ai_gateway.stores.outbox import Outbox
from tests.providers.scripted import WAIT_SECONDS
from tests.running import wait_for
from tests.services.test_settlement import settle
from tests.services.workbench import Workbench, user_day


class Running:
    """A call that is entered, and what it was told."""

    def __init__(self, bench: Workbench, admitted: Admitted) -> None:
        self.admitted = admitted
        self.text_bytes = 0
        self.ends: list[EndReason] = []
        self.open_call = OpenCall(admitted, lambda: self.text_bytes, self.ends.append)
        bench.open_calls.enter(self.open_call)

    @property
    def request_id(self) -> str:
        return self.admitted.call.request_id


@pytest.fixture
def start(bench: Workbench, request: pytest.FixtureRequest) -> Callable[..., Running]:
    """Enters calls, and takes them out at the end."""

    def enter(key: str, **body: object) -> Running:
        running = Running(bench, bench.admit(key, **body))
        request.addfinalizer(lambda: bench.open_calls.leave(running.request_id))
        return running

    return enter


def lease(client: redis.Redis, request_id: str) -> float | None:
    score = client.zscore(redis_keys.LEASES, request_id)
    return None if score is None else float(score)


def shorten_lease(bench: Workbench, running: Running) -> None:
    """As if most of it had passed."""
    score = lease(bench.client, running.request_id)
    assert score is not None
    bench.client.zadd(redis_keys.LEASES, {running.request_id: score - LEASE_MS + 1_000})


def test_beat_renews_the_leases_of_all_running_calls(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    calls = [start(bench.make_key()) for _ in range(3)]
    before = [lease(bench.client, call.request_id) for call in calls]
    for call in calls:
        shorten_lease(bench, call)
    bench.open_calls.beat()
    after = [lease(bench.client, call.request_id) for call in calls]
    assert all(new and old and new >= old for new, old in zip(after, before, strict=True))
    assert [call.ends for call in calls] == [[], [], []]


def test_beat_without_calls_asks_nothing(bench: Workbench, redis_client: redis.Redis) -> None:
    before = redis_client.info("stats")["total_commands_processed"]
    bench.open_calls.beat()
    assert redis_client.info("stats")["total_commands_processed"] == before + 1


def test_beat_stores_how_far_a_call_is(bench: Workbench, start: Callable[..., Running]) -> None:
    key = bench.make_key()
    running = start(key)
    running.text_bytes = 400
    bench.open_calls.beat()
    bench.lapse(running.request_id)
    entry = bench.entry()
    assert entry.tally["output_tokens"] == 100
    assert entry.total == bench.spent(key) == entry.tally["input_tokens"] + 100 * 10


def test_call_of_a_revoked_key_is_ended(bench: Workbench, start: Callable[..., Running]) -> None:
    key = bench.make_key()
    running, other = start(key), start(bench.make_key())
    bench.change_key(key, status=KeyStatus.REVOKED)
    bench.open_calls.beat()
    assert (running.ends, other.ends) == ([EndReason.REVOKED], [])


def test_limit_that_was_lowered_lets_running_calls_go_on(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    key = bench.make_key()
    running = start(key)
    bench.change_key(key, limits=user_day(0))
    bench.open_calls.beat()
    assert running.ends == []


def test_lapsed_call_holds_again_where_there_is_room(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    key = bench.make_key()
    running = start(key)
    held = bench.held(key)
    bench.lapse(running.request_id)
    charged = bench.spent(key)
    assert bench.held(key) == 0
    bench.open_calls.beat()
    assert running.ends == []
    assert bench.held(key) == held - charged
    assert lease(bench.client, running.request_id) is not None


def test_lapsed_call_is_ended_where_its_room_is_taken(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    key = bench.make_key(user_day(11_000))
    running = start(key, max_tokens=1_000)
    bench.lapse(running.request_id)
    start(key, max_tokens=900)
    bench.open_calls.beat()
    assert running.ends == [EndReason.NO_ROOM]


def test_call_that_held_again_is_settled_to_the_digit(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    key = bench.make_key()
    running = start(key)
    bench.lapse(running.request_id)
    bench.open_calls.beat()
    cost = settle(bench, running.admitted, NOTHING_TOLD)
    assert (bench.spent(key), bench.held(key)) == (cost, 0)
    assert sum(entry.cost for entry in bench.entries()) == cost


def test_settled_call_is_neither_ended_nor_held_again(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    key = bench.make_key()
    running = start(key)
    settle(bench, running.admitted, NOTHING_TOLD)
    bench.open_calls.beat()
    assert running.ends == []
    assert bench.held(key) == 0


def test_call_that_left_is_not_kept_alive(bench: Workbench, start: Callable[..., Running]) -> None:
    running = start(bench.make_key())
    bench.open_calls.leave(running.request_id)
    bench.open_calls.leave(running.request_id)
    shorten_lease(bench, running)
    before = lease(bench.client, running.request_id)
    bench.open_calls.beat()
    assert lease(bench.client, running.request_id) == before
    assert len(bench.open_calls) == 0


def test_renewed_call_is_not_booked_by_the_reaper(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    running = start(bench.make_key())
    bench.open_calls.beat()
    assert Outbox(bench.client).lapsed(count=10) == []
    assert not Outbox(bench.client).expire(running.request_id, bench.clock())
    assert bench.entries() == []


def test_beat_says_when_redis_has_lost_its_scripts_or_is_cold(
    bench: Workbench, start: Callable[..., Running], redis_client: redis.Redis
) -> None:
    start(bench.make_key())
    redis_client.script_flush()
    bench.open_calls.beat()
    redis_client.config_set("maxmemory", "1")
    try:
        # Renewing goes on even when there is no memory for new calls.
        bench.open_calls.beat()
        with pytest.raises(BudgetUnavailable):
            bench.admit(bench_key(bench, redis_client))
    finally:
        redis_client.config_set("maxmemory", "0")


def bench_key(bench: Workbench, client: redis.Redis) -> str:
    """A key that is published while there is memory."""
    client.config_set("maxmemory", "0")
    key = bench.make_key()
    bench.keys.identify(key)
    client.config_set("maxmemory", "1")
    return key


def test_call_whose_time_is_over_is_ended_and_others_are_not(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    late, early, timeless = (start(bench.make_key()) for _ in range(3))
    late.open_call.deadline = 0.0
    early.open_call.deadline = float("inf")
    bench.open_calls._end_overdue()
    assert (late.ends, early.ends, timeless.ends) == ([EndReason.DRAIN_LIMIT], [], [])


def test_stop_ends_all_calls_and_waits_until_they_have_left(bench: Workbench) -> None:
    ends: list[tuple[str, EndReason]] = []

    def entered() -> str:
        admitted = bench.admit(bench.make_key())
        request_id = admitted.call.request_id

        def end(reason: EndReason) -> None:
            ends.append((request_id, reason))
            bench.open_calls.leave(request_id)

        bench.open_calls.enter(OpenCall(admitted, lambda: 0, end))
        return request_id

    names = [entered() for _ in range(2)]
    bench.open_calls.end_all()
    assert ends == [(name, EndReason.STOPPING) for name in names]
    assert len(bench.open_calls) == 0


def test_hold_stands_in_every_account_again_after_a_lapse(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    running = start(bench.make_key())
    before = bench.counters(running.admitted)
    bench.lapse(running.request_id)
    bench.open_calls.beat()
    after = bench.counters(running.admitted)
    assert len(after) == len(BUDGETS)
    assert [c.held + c.spent for c in after] == [c.held for c in before]


def test_watchers_are_told_how_many_calls_run(
    bench: Workbench, start: Callable[..., Running]
) -> None:
    seen: Queue[dict[str, int]] = Queue()
    running = [start(bench.make_key()) for _ in range(2)]
    bench.open_calls.watch(lambda calls: seen.put({str(n): count for n, count in calls.items()}))
    assert seen.get(timeout=WAIT_SECONDS) == {"chat": 2}
    for one in running:
        bench.open_calls.leave(one.request_id)
    wait_for(lambda: seen.get(timeout=WAIT_SECONDS) == {}, "both have left", WAIT_SECONDS)
