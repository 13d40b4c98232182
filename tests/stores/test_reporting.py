"""The reads of the staff pages, on every database that we serve."""

from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from ai_gateway.stores.reporting import ReportingStore, UsageSums
from tests.seeding import NOW, add_entry, add_key, add_usage, add_user, usd

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


@pytest.fixture
def store(sql_database: str) -> ReportingStore:
    return ReportingStore()


def test_providers_are_summed_and_the_dearest_comes_first(store: ReportingStore) -> None:
    add_usage(HOUR, 1, "openai", cost_nano_usd=5, requests=2, input_tokens=10, output_tokens=1)
    add_usage(HOUR, 2, "openai", cost_nano_usd=6, requests=3, cached_input_tokens=4, failures=1)
    add_usage(HOUR, 1, "anthropic", cost_nano_usd=12, cancellations=1, unpriced=1)
    first, second = store.sums_by_provider(HOUR)
    assert (first.provider, first.sums.cost, first.sums.unpriced) == ("anthropic", 12, 1)
    assert second.sums == UsageSums(
        requests=5,
        failures=1,
        input_tokens=10,
        cached_input_tokens=4,
        output_tokens=1,
        cost=usd("0.000000011"),
    )


def test_a_span_ends_before_the_hour_until_which_it_goes(store: ReportingStore) -> None:
    for hours_ago in (0, 1, 2, 3):
        add_usage(HOUR - timedelta(hours=hours_ago), 1, cost_nano_usd=10**hours_ago)
    span = HOUR - timedelta(hours=2), HOUR
    assert store.sums(*span).cost == 110
    assert [row.sums.cost for row in store.sums_by_provider(*span)] == [110]


def test_sums_of_nothing_are_zero_and_have_no_averages(store: ReportingStore) -> None:
    nothing = store.sums(HOUR)
    assert nothing == UsageSums()
    assert (nothing.error_rate, nothing.average_cost) == (None, None)


def test_large_sums_stay_exact(store: ReportingStore) -> None:
    add_usage(HOUR, 1, cost_nano_usd=2**62 - 1, requests=3, failures=1)
    add_usage(HOUR, 2, cost_nano_usd=2**61 + 1, requests=0)
    sums = store.sums(HOUR)
    assert sums.cost == 2**62 + 2**61
    assert sums.average_cost == Fraction(2**62 + 2**61, 3)
    assert sums.error_rate == Fraction(1, 3)


def test_top_users_are_ordered_by_cost_then_requests_then_id(store: ReportingStore) -> None:
    ids = [add_user(name) for name in ("ann", "bob", "cem", "dee")]
    for user_id, cost, requests in zip(ids, (5, 7, 5, 5), (1, 1, 2, 1), strict=True):
        add_usage(HOUR, user_id, cost_nano_usd=cost, requests=requests)
    add_usage(HOUR - timedelta(hours=1), ids[0], cost_nano_usd=100)
    found = store.top_users(HOUR, 3)
    assert [user.username for user in found] == ["bob", "cem", "ann"]
    assert (found[0].email, found[1].requests, found[2].cost) == ("bob@example.com", 2, 5)


def test_a_user_who_is_gone_keeps_the_cost_without_a_name(store: ReportingStore) -> None:
    add_usage(HOUR, 99, cost_nano_usd=5)
    (user,) = store.top_users(HOUR, 10)
    assert (user.user_id, user.username, user.email, user.cost) == (99, None, None, 5)


def test_a_call_is_the_sum_of_its_entries_and_the_last_has_the_last_word(
    store: ReportingStore,
) -> None:
    user_id = add_user("ann")
    add_entry("r1", 1, user_id=user_id, cost_nano_usd=50, outcome="cancelled", input_tokens=7)
    later = {"confidence": "estimated", "outcome": "success", "latency_ms": 30}
    add_entry("r1", 2, user_id=user_id, cost_nano_usd=-20, output_tokens=3, **later)
    (call,) = store.recent_calls(20)
    assert (call.cost, call.input_tokens, call.output_tokens, call.latency_ms) == (30, 7, 3, 30)
    assert (call.outcome, call.confidence, call.username) == ("success", "estimated", "ann")


def test_recent_calls_are_the_newest_by_admission_without_adjustments(
    store: ReportingStore,
) -> None:
    for number in range(5):
        add_entry(f"r{number}", admitted_at=NOW - timedelta(minutes=number))
    add_entry("r4", 2, admitted_at=NOW - timedelta(minutes=4))
    add_entry("reset", kind="adjustment", requests=0, cost_nano_usd=-9)
    assert [call.request_id for call in store.recent_calls(3)] == ["r0", "r1", "r2"]
    assert store.recent_calls(20)[-1].admitted_at == NOW - timedelta(minutes=4)


def test_recent_calls_of_an_empty_ledger_are_none(store: ReportingStore) -> None:
    assert store.recent_calls(20) == ()


def test_set_up_facts_turn_true_one_by_one(store: ReportingStore) -> None:
    user_id = add_user("ann")
    seen = [store.set_up_facts()]
    add_user("boss", role="viewer")
    seen.append(store.set_up_facts())
    add_key(user_id)
    seen.append(store.set_up_facts())
    add_usage(HOUR, user_id)
    seen.append(store.set_up_facts())
    assert [(f.has_staff, f.has_key, f.has_call) for f in seen] == [
        (False, False, False),
        (True, False, False),
        (True, True, False),
        (True, True, True),
    ]
