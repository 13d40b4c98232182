"""How a call is booked by what its answer told, exactly once, also while Redis is away."""

from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter

import pytest

from ai_gateway.domain.call import Outcome, StreamSide
from ai_gateway.domain.limits import NO_LIMIT, Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import HelperUsage, Reading, Usage, UsageStatus
from ai_gateway.services.admission import Admitted
from ai_gateway.services.open_calls import OpenCall
from ai_gateway.services.settlement import NOTHING_BILLED, NOTHING_TOLD, Timing
from ai_gateway.stores.redis_client import connect
from tests.providers.scripted import WAIT_SECONDS
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for
from tests.services.workbench import NO_LIMITS, Workbench, nano, user_day

USAGE = Usage(input_tokens=100, output_tokens=50)
COST = 100 * 1 + 50 * 10
"""Of that usage with the model `plain`, in nano-USD."""


def settle(bench: Workbench, admitted: Admitted, reading: Reading) -> int:
    return bench.settlement.settle(
        admitted, reading, outcome=Outcome.SUCCESS, timing=Timing(perf_counter())
    )


def told(status: UsageStatus, usage: Usage = USAGE, **facts: object) -> Reading:
    return Reading(status, usage, **facts)  # type: ignore[arg-type]  # facts of a reading


@pytest.mark.parametrize("status", [UsageStatus.EXACT, UsageStatus.ANOMALY])
def test_reported_usage_is_booked_to_the_digit(bench: Workbench, status: UsageStatus) -> None:
    key = bench.make_key()
    assert settle(bench, bench.admit(key), told(status, raw='{"a":1}')) == COST
    entry = bench.entry()
    assert (entry.cost, entry.total) == (COST, COST)
    assert (entry.words["usage_status"], entry.words["confidence"]) == (status, "reported")
    assert (entry.words["price_status"], entry.words["price_row"]) == ("priced", "test/lab/plain")
    assert entry.words["raw_usage"] == '{"a":1}'
    assert (entry.tally["input_tokens"], entry.tally["output_tokens"]) == (100, 50)
    assert entry.tally["requests"] == 1
    assert (bench.spent(key), bench.held(key)) == (COST, 0)


@pytest.mark.parametrize("status", [UsageStatus.PROVIDER_COST, UsageStatus.ANOMALY])
@pytest.mark.parametrize("stated", [0, 7, COST, 10 * COST])
def test_stated_cost_is_booked_instead_of_what_the_tokens_would_cost(
    bench: Workbench, status: UsageStatus, stated: int
) -> None:
    key = bench.make_key()
    assert settle(bench, bench.admit(key), told(status, stated_cost=Money(stated))) == stated
    entry = bench.entry()
    assert (entry.cost, entry.words["price_status"]) == (stated, "provider_stated")
    assert (entry.words["usage_status"], entry.words["confidence"]) == (status, "reported")
    assert (entry.tally["input_tokens"], entry.tally["unpriced"]) == (100, 0)
    (fact,) = bench.watcher.settled_calls
    assert sum(fact.cost_by_kind.values()) == stated
    assert (bench.spent(key), bench.held(key)) == (stated, 0)


def test_nothing_billed_costs_nothing_and_is_booked_all_the_same(bench: Workbench) -> None:
    key = bench.make_key()
    assert settle(bench, bench.admit(key), NOTHING_BILLED) == 0
    entry = bench.entry()
    assert (entry.cost, entry.words["usage_status"]) == (0, "not_billed")
    assert entry.words["confidence"] == "reported"
    assert (entry.tally["requests"], entry.tally["input_tokens"]) == (1, 0)
    assert bench.held(key) == 0


def test_lower_bound_is_raised_to_what_was_relayed(bench: Workbench) -> None:
    reading = told(UsageStatus.PARTIAL, Usage(input_tokens=100, output_tokens=1), text_bytes=400)
    assert settle(bench, bench.admit(bench.make_key()), reading) == 100 + 100 * 10
    entry = bench.entry()
    assert entry.tally["output_tokens"] == 100
    assert (entry.words["usage_status"], entry.words["confidence"]) == ("partial", "counted")


def test_lower_bound_stands_where_less_was_relayed(bench: Workbench) -> None:
    reading = told(UsageStatus.PARTIAL, text_bytes=4)
    assert settle(bench, bench.admit(bench.make_key()), reading) == COST


def test_missing_usage_is_counted_by_bytes(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key())
    reading = told(UsageStatus.MISSING, Usage(), text_bytes=400)
    input_tokens = -(-admitted.input_bytes // 4)
    assert settle(bench, admitted, reading) == input_tokens + 100 * 10
    entry = bench.entry()
    assert (entry.words["usage_status"], entry.words["confidence"]) == ("missing", "counted")
    assert entry.tally["input_tokens"] == input_tokens


def test_call_of_which_nothing_is_known_is_never_free(bench: Workbench) -> None:
    assert settle(bench, bench.admit(bench.make_key()), NOTHING_TOLD) > 0


def test_counted_cost_never_exceeds_the_hold(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), max_tokens=10)
    reading = told(UsageStatus.MISSING, Usage(), text_bytes=10**6)
    assert settle(bench, admitted, reading) == admitted.call.held
    fact = bench.watcher.settled_calls[0]
    assert sum(fact.cost_by_kind.values()) == admitted.call.held


def test_reported_lower_bound_is_booked_even_above_the_hold(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), max_tokens=1)
    usage = Usage(input_tokens=10**6, output_tokens=1)
    assert settle(bench, admitted, told(UsageStatus.PARTIAL, usage)) == 10**6 + 10


def test_overrun_is_booked_in_full(bench: Workbench) -> None:
    key = bench.make_key(user_day(20_000))
    admitted = bench.admit(key, max_tokens=10)
    usage = Usage(input_tokens=10**6, output_tokens=10**6)
    assert settle(bench, admitted, told(UsageStatus.EXACT, usage)) == 11 * 10**6
    assert bench.spent(key) == 11 * 10**6
    assert [c.spent for c in bench.counters(admitted)] == [11 * 10**6] * 5


def test_counter_learns_from_metered_calls_alone(bench: Workbench) -> None:
    usage = Usage(input_tokens=1, output_tokens=100)
    for _ in range(200):
        settle(
            bench, bench.admit(bench.make_key()), told(UsageStatus.PARTIAL, usage, text_bytes=800)
        )
    assert bench.counter.output_tokens("plain", 800) == 200
    for _ in range(200):
        settle(bench, bench.admit(bench.make_key()), told(UsageStatus.EXACT, usage, text_bytes=800))
    assert bench.counter.output_tokens("plain", 800) == pytest.approx(100, abs=1)


# Whose price


@pytest.mark.parametrize(
    ("served", "cost", "row"),
    [
        pytest.param(None, COST, "test/lab/plain", id="not told"),
        pytest.param("plain", COST, "test/lab/plain", id="as asked"),
        pytest.param("plain-2026-11-25", COST, "test/lab/plain", id="with its date"),
        pytest.param("dear", 5 * COST, "test/lab/dear", id="a dearer one"),
        pytest.param("gratis", 0, "test/lab/gratis", id="a free one"),
        pytest.param("unknown", COST, "test/lab/plain", id="one without a price"),
        pytest.param("claude", COST, "test/lab/plain", id="one of another provider"),
        pytest.param("", COST, "test/lab/plain", id="nothing"),
    ],
)
def test_price_is_that_of_the_served_model_else_of_the_asked_one(
    bench: Workbench, served: str | None, cost: int, row: str
) -> None:
    reading = told(UsageStatus.EXACT, served_model=served)
    assert settle(bench, bench.admit(bench.make_key()), reading) == cost
    entry = bench.entry()
    assert entry.words["price_row"] == row
    assert entry.words["served_model"] == (served or "plain")
    assert entry.words["model"] == "plain"


def test_name_that_a_provider_gives_is_cut_to_what_the_ledger_takes(bench: Workbench) -> None:
    reading = told(UsageStatus.EXACT, served_model="x" * 10_000)
    settle(bench, bench.admit(bench.make_key()), reading)
    assert bench.entry().words["served_model"] == "x" * 160


def test_call_without_a_price_is_booked_at_nothing_and_marked(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(NO_LIMITS), model="lab/unpriced")
    assert settle(bench, admitted, told(UsageStatus.EXACT)) == 0
    entry = bench.entry()
    assert (entry.words["price_status"], entry.words["price_row"]) == ("unpriced", "")
    assert (entry.tally["unpriced"], entry.tally["input_tokens"]) == (1, 100)


def test_price_is_found_by_the_served_model_where_the_asked_one_has_none(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(NO_LIMITS), model="lab/unpriced")
    assert settle(bench, admitted, told(UsageStatus.EXACT, served_model="plain")) == COST
    assert bench.entry().words["price_status"] == "priced"


def served(usage: Usage = USAGE, **facts: object) -> Reading:
    return told(UsageStatus.EXACT, usage, served_model="plain", **facts)


def test_surcharge_is_on_every_token_and_named(bench: Workbench) -> None:
    reading = served(surcharge_percent=10)
    assert settle(bench, bench.admit(bench.make_key()), reading) == COST * 11 // 10
    words = bench.entry().words
    assert (words["price_row"], words["price_status"]) == ("test/lab/plain+10%", "priced")


def test_surcharge_holds_where_the_served_model_is_not_told(bench: Workbench) -> None:
    reading = told(UsageStatus.EXACT, surcharge_percent=10)
    assert settle(bench, bench.admit(bench.make_key()), reading) == COST * 11 // 10


def test_help_of_another_model_is_billed_at_its_own_price(bench: Workbench) -> None:
    helper = HelperUsage("dear", Usage(input_tokens=10, output_tokens=1))
    cost = COST + 10 * 5 + 1 * 50
    assert settle(bench, bench.admit(bench.make_key()), served(helpers=(helper,))) == cost
    entry = bench.entry()
    assert (entry.tally["input_tokens"], entry.tally["output_tokens"]) == (110, 51)
    assert entry.words["price_status"] == "priced"
    (fact,) = bench.watcher.settled_calls
    assert fact.cost_by_kind == {"input": 150, "output": 550}


def test_help_is_booked_beside_what_is_only_counted(bench: Workbench) -> None:
    helper = HelperUsage("dear", Usage(input_tokens=10))
    reading = told(UsageStatus.PARTIAL, served_model="plain", helpers=(helper,))
    assert settle(bench, bench.admit(bench.make_key()), reading) == COST + 50
    assert bench.entry().words["confidence"] == "counted"


UNPRICED: dict[str, dict[str, object]] = {
    "something": {"has_unpriced": True},
    "help of nobody knows whom": {"helpers": (HelperUsage("", Usage(input_tokens=1)),)},
    "a search": {"usage": replace(USAGE, web_searches=1)},
    "a dearer tier": {"service_tier": "fast"},
}


@pytest.mark.parametrize("facts", UNPRICED.values(), ids=UNPRICED)
def test_cost_that_leaves_something_out_is_marked(
    bench: Workbench, facts: dict[str, object]
) -> None:
    reading = replace(served(), **facts)  # type: ignore[arg-type]  # facts of a reading
    assert settle(bench, bench.admit(bench.make_key()), reading) == COST
    entry = bench.entry()
    assert entry.words["price_status"] == "unpriced"
    assert entry.tally["unpriced"] == 1


@pytest.mark.parametrize("tier", [None, "standard", "default", "flex", "unheard-of"])
def test_plain_price_is_never_too_low_for_a_plain_or_cheaper_tier(
    bench: Workbench, tier: str | None
) -> None:
    settle(bench, bench.admit(bench.make_key()), served(service_tier=tier))
    assert bench.entry().words["price_status"] == "priced"


def test_tier_that_was_asked_for_stands_where_the_answer_tells_none(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), service_tier="priority")
    settle(bench, admitted, served())
    assert bench.entry().words["price_status"] == "unpriced"


def test_call_that_is_not_billed_leaves_nothing_out(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key(), service_tier="priority")
    settle(bench, admitted, NOTHING_BILLED)
    assert bench.entry().words["price_status"] == "priced"


# Exactly once


def test_second_settlement_of_a_call_changes_nothing(bench: Workbench) -> None:
    key = bench.make_key()
    admitted = bench.admit(key)
    settle(bench, admitted, told(UsageStatus.EXACT))
    settle(bench, admitted, told(UsageStatus.EXACT, Usage(input_tokens=9, output_tokens=9)))
    assert (bench.entry().total, bench.spent(key)) == (COST, COST)


def test_call_that_lapsed_is_corrected_by_a_difference(bench: Workbench) -> None:
    key = bench.make_key()
    admitted = bench.admit(key)
    bench.lapse(admitted.call.request_id)
    floor = bench.spent(key)
    settle(bench, admitted, told(UsageStatus.EXACT))
    first, second = bench.entries()
    assert (first.cost, first.words["confidence"]) == (floor, "estimated")
    assert (second.cost, second.total) == (COST - floor, COST)
    assert first.tally["requests"] + second.tally["requests"] == 1
    assert (bench.spent(key), bench.held(key)) == (COST, 0)


def test_call_that_redis_forgot_is_remembered_to_be_compared_with_the_ledger(
    bench: Workbench,
) -> None:
    admitted = bench.admit(bench.make_key())
    bench.client.flushall()
    settle(bench, admitted, told(UsageStatus.EXACT))
    ((lost, finished),) = bench.settlement.memory.lost
    assert (lost, finished.cost) == (admitted.call, COST)
    assert bench.settlement.work_off() == 0


def test_what_was_booked_is_remembered_for_a_redis_that_goes_back(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key())
    settle(bench, admitted, told(UsageStatus.EXACT))
    before = len(bench.settlement.memory.lost)
    bench.settlement.memory.doubt_all()
    assert before == 0
    assert [lost for lost, _ in bench.settlement.memory.lost] == [admitted.call]


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Redis that a test may stop."""
    with running_redis("valkey") as server:
        yield server


def test_settlements_wait_while_redis_is_away_and_are_booked_once(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        bench = Workbench(client)
        bench.open()
        key = bench.make_key()
        calls = [bench.admit(key) for _ in range(3)]
        own_server.stop()
        for admitted in calls:
            assert settle(bench, admitted, told(UsageStatus.EXACT)) == COST
        assert bench.settlement.work_off() == len(calls)
        own_server.start()
        assert bench.settlement.work_off() == 0
        assert bench.settlement.work_off() == 0
        booked = [entry.request_id for entry in bench.entries()]
        assert booked == [admitted.call.request_id for admitted in calls]
        assert (bench.spent(key), bench.held(key)) == (3 * COST, 0)


def test_observers_hear_of_a_call_at_once_though_redis_is_away(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        bench = Workbench(client)
        bench.open()
        admitted = bench.admit(bench.make_key())
        own_server.stop()
        settle(bench, admitted, told(UsageStatus.EXACT))
        assert [fact.finished.cost for fact in bench.watcher.settled_calls] == [COST]
        own_server.start()
        bench.settlement.work_off()
        assert len(bench.watcher.settled_calls) == 1


def test_settlements_that_wait_are_booked_by_themselves(own_server: RedisServer) -> None:
    with connect(own_server.url) as client:
        bench = Workbench(client)
        bench.open()
        admitted = bench.admit(bench.make_key())
        bench.open_calls.enter(OpenCall(admitted, lambda: 0, lambda _: None))
        own_server.stop()
        settle(bench, admitted, told(UsageStatus.EXACT))
        bench.open_calls.leave(admitted.call.request_id)
        own_server.start()
        wait_for(bench.entries, "what waits is booked", WAIT_SECONDS)
        assert bench.entry().total == COST
        bench.open_calls._stop.set()


# What is told


def test_observers_are_told_the_cost_by_kind(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key())
    settle(bench, admitted, told(UsageStatus.EXACT))
    (fact,) = bench.watcher.settled_calls
    assert fact.call is admitted.call
    assert fact.cost_by_kind == {"input": 100, "output": 500}


def test_observers_are_told_which_budgets_let_the_call_in(bench: Workbench) -> None:
    key = bench.make_key((NO_LIMIT, nano(10 * COST), nano(100 * COST), nano(50 * COST), NO_LIMIT))
    settle(bench, bench.admit(key), told(UsageStatus.EXACT, stated_cost=Money(8 * COST)))
    settle(bench, bench.admit(key, max_tokens=1), told(UsageStatus.EXACT))
    first, second = bench.watcher.settled_calls
    assert set(first.allowed_by) == {Scope.USER, Scope.KEY}
    assert not first.warned_by
    # The user has spent 80 % of the day.
    assert (set(second.allowed_by), set(second.warned_by)) == ({Scope.KEY}, {Scope.USER})


@pytest.mark.parametrize(
    ("outcome", "side"),
    [
        (Outcome.SUCCESS, None),
        (Outcome.CANCELLED, StreamSide.CLIENT),
        (Outcome.GATEWAY_ERROR, StreamSide.GATEWAY),
        (Outcome.UPSTREAM_ERROR, StreamSide.UPSTREAM),
        (Outcome.UPSTREAM_TIMEOUT, StreamSide.UPSTREAM),
    ],
)
def test_observers_are_told_who_ended_a_stream_early(
    bench: Workbench, outcome: Outcome, side: StreamSide | None
) -> None:
    key = bench.make_key()
    sent = Timing(perf_counter()).sent_now()
    for is_streamed, timing in ((True, sent.answered_now()), (True, sent), (False, sent)):
        admitted = bench.admit(key, stream=is_streamed)
        bench.settlement.settle(admitted, NOTHING_TOLD, outcome=outcome, timing=timing)
    # What was never answered is no stream yet.
    assert [fact.aborted_by for fact in bench.watcher.settled_calls] == [side, None, None]


def test_times_are_told_in_milliseconds() -> None:
    now = perf_counter()
    timing = Timing(now - 2, first_content=now - 1.5)
    assert timing.ttft_ms() == 500
    assert timing.latency_ms() >= 2_000
    assert Timing(now).ttft_ms() is None


def test_outcome_and_moment_are_booked(bench: Workbench) -> None:
    admitted = bench.admit(bench.make_key())
    bench.settlement.settle(
        admitted, NOTHING_TOLD, outcome=Outcome.UPSTREAM_TIMEOUT, timing=Timing(perf_counter())
    )
    entry = bench.entry()
    assert entry.words["outcome"] == "upstream_timeout"
    assert (entry.tally["failures"], entry.tally["cancellations"]) == (1, 0)
    assert entry.settled_at == entry.admitted_at == bench.clock()
