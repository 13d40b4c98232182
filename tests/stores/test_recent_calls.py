"""The list of the last calls, on every database that we serve."""

from datetime import timedelta

import pytest

from ai_gateway.stores.recent_calls import RecentCalls
from tests.seeding import NOW, add_entry, add_user


@pytest.fixture
def calls(sql_database: str) -> RecentCalls:
    return RecentCalls()


def test_a_call_is_the_sum_of_its_entries_and_the_last_has_the_last_word(
    calls: RecentCalls,
) -> None:
    user_id = add_user("ann")
    add_entry("r1", 1, user_id=user_id, cost_nano_usd=50, outcome="cancelled", input_tokens=7)
    later = {"confidence": "estimated", "outcome": "success", "latency_ms": 30}
    add_entry("r1", 2, user_id=user_id, cost_nano_usd=-20, output_tokens=3, **later)
    (call,) = calls.newest(20)
    assert (call.cost, call.input_tokens, call.output_tokens, call.latency_ms) == (30, 7, 3, 30)
    assert (call.outcome, call.confidence, call.username) == ("success", "estimated", "ann")


def test_recent_calls_are_the_newest_by_admission_without_adjustments(
    calls: RecentCalls,
) -> None:
    for number in range(5):
        add_entry(f"r{number}", admitted_at=NOW - timedelta(minutes=number))
    add_entry("r4", 2, admitted_at=NOW - timedelta(minutes=4))
    add_entry("reset", kind="adjustment", requests=0, cost_nano_usd=-9)
    assert [call.request_id for call in calls.newest(3)] == ["r0", "r1", "r2"]
    assert calls.newest(20)[-1].admitted_at == NOW - timedelta(minutes=4)


def test_recent_calls_of_an_empty_ledger_are_none(calls: RecentCalls) -> None:
    assert calls.newest(20) == ()


def test_pages_by_keyset_show_each_call_once_while_new_ones_arrive(calls: RecentCalls) -> None:
    for number in range(7):
        # Three of them were admitted in the same instant.
        add_entry(f"r{number}", admitted_at=NOW - timedelta(seconds=max(0, number - 2)))
    seen = []
    page = calls.newest(2)
    while page:
        seen += [call.request_id for call in page]
        add_entry(f"new-{len(seen)}", admitted_at=NOW + timedelta(seconds=len(seen)))
        page = calls.newest(2, before=page[-1].position)
    assert seen == ["r2", "r1", "r0", "r3", "r4", "r5", "r6"]


def test_one_user_sees_only_own_calls(calls: RecentCalls) -> None:
    ann, bob = add_user("ann"), add_user("bob")
    add_entry("mine", user_id=ann)
    add_entry("other", user_id=bob)
    assert [call.request_id for call in calls.newest(5, user_id=ann)] == ["mine"]
