"""Sums by hour, account and latency."""

from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.rollup_tables import LatencyBucket, LatencyDay, OutcomeHour
from ai_gateway.stores.rollups import (
    BUCKET_GROWTH,
    bucket_of,
    bucket_time,
    by_latency_hour,
    by_outcome,
)
from ai_gateway.stores.tables import AccountTotal
from tests.money import NO_TALLY, NOON, UTC_ZONE, outbox_entry


@given(st.integers(2, 10_000_000))
def test_bucket_is_at_most_ten_percent_wide(milliseconds: int) -> None:
    low = BUCKET_GROWTH ** bucket_of(milliseconds)
    assert low * 0.999999 <= milliseconds <= low * BUCKET_GROWTH * 1.000001


@given(st.integers(0, 10_000_000))
def test_longer_time_is_never_in_a_lower_bucket(milliseconds: int) -> None:
    assert bucket_of(milliseconds) <= bucket_of(milliseconds + ceil(milliseconds / 9) + 1)


def test_stream_counts_in_both_kinds_and_a_whole_answer_in_one() -> None:
    stream, whole = outbox_entry(1, ttft_ms=50), outbox_entry(2, ttft_ms=None)
    rows = by_latency_hour([stream, whole], UTC_ZONE)
    assert {(row["kind"], row["bucket"]): row["count"] for row in rows} == {
        ("duration", bucket_of(900)): 2,
        ("first_token", bucket_of(50)): 1,
    }


def test_late_correction_has_no_latency() -> None:
    assert by_latency_hour([outbox_entry(1, tally=NO_TALLY | {"latency_ms": 5})], UTC_ZONE) == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_ledger_adds_latencies_up_over_batches(engine: Engine, zone: str) -> None:
    ledger = Ledger(engine, ZoneInfo(zone))
    for number in (1, 2):
        ledger.book([outbox_entry(number)], after=ledger.position(), now=NOON)
    with Session(engine) as session:
        rows = list(session.scalars(select(LatencyBucket).where(LatencyBucket.kind == "duration")))
    assert [(row.bucket, row.count) for row in rows] == [(bucket_of(900), 2)]
    minute = 0 if zone == "UTC" else 30
    assert rows[0].hour == datetime(2026, 11, 25, 12, minute, tzinfo=UTC)


def test_accounts_count_calls_apart_from_adjustments(engine: Engine) -> None:
    ledger = Ledger(engine, UTC_ZONE)
    early, late = NOON.replace(hour=3), NOON.replace(hour=15)
    batches = (
        [outbox_entry(1, cost=40, admitted_at=late), outbox_entry(2, cost=5, admitted_at=early)],
        # A late correction of the first call, and a reset, in a batch that knows no later moment.
        [
            outbox_entry(
                3, cost=-10, request_id="req_1", entry_no=2, tally=NO_TALLY, admitted_at=early
            ),
            outbox_entry(4, cost=-35, kind="adjustment", tally=NO_TALLY, admitted_at=late),
        ],
    )
    for batch in batches:
        ledger.book(batch, after=ledger.position(), now=NOON)
    with Session(engine) as session:
        for window_id in ("2026-11-25", "2026-11"):
            row = session.get_one(AccountTotal, ("user", 1, window_id))
            assert (row.spent_nano_usd, row.cost_nano_usd, row.requests) == (0, 35, 2)
            assert row.last_request_at == late


def test_a_mark_of_a_refusal_makes_no_request(engine: Engine) -> None:
    ledger = Ledger(engine, UTC_ZONE)
    account = outbox_entry(1).accounts[1]
    ledger.mark_refused([account], [account.window_id])
    with Session(engine) as session:
        row = session.get_one(AccountTotal, ("user", 1, account.window_id))
        assert (row.is_refused, row.requests, row.last_request_at) == (True, 0, None)
    ledger.book([outbox_entry(1)], after=ledger.position(), now=NOON)
    with Session(engine) as session:
        row = session.get_one(AccountTotal, ("user", 1, account.window_id))
        assert (row.is_refused, row.requests, row.last_request_at) == (True, 1, NOON)


def test_gateways_own_time_has_buckets_of_microseconds() -> None:
    rows = by_latency_hour([replace(outbox_entry(1), overhead_us=1250)], UTC_ZONE)
    assert {row["kind"]: row["bucket"] for row in rows}["overhead"] == bucket_of(1250)


@given(st.integers(2, 10_000_000))
def test_middle_of_a_bucket_is_within_five_percent(time: int) -> None:
    assert abs(bucket_time(bucket_of(time)) - time) <= 0.051 * time


def test_days_add_up_over_models(engine: Engine) -> None:
    ledger = Ledger(engine, ZoneInfo("Asia/Kolkata"))
    batch = [outbox_entry(1), outbox_entry(2, model="another")]
    ledger.book(batch, after=ledger.position(), now=NOON)
    with Session(engine) as session:
        (row,) = session.scalars(select(LatencyDay).where(LatencyDay.kind == "duration"))
    # The day of India began at half past six in the evening before.
    assert (row.day, row.count) == (datetime(2026, 11, 24, 18, 30, tzinfo=UTC), 2)


def test_a_late_entry_moves_a_call_to_its_last_outcome(engine: Engine) -> None:
    ledger = Ledger(engine, UTC_ZONE)
    first = [
        outbox_entry(1, outcome="gateway_error"),
        outbox_entry(2, outcome="success"),
    ]
    late = outbox_entry(3, request_id="req_1", entry_no=2, outcome="success", tally=NO_TALLY)
    for batch in (first, [late]):
        ledger.book(batch, after=ledger.position(), now=NOON)
    with Session(engine) as session:
        rows = {row.outcome: row.count for row in session.scalars(select(OutcomeHour))}
    assert rows == {"gateway_error": 0, "success": 2}


def test_both_entries_of_a_call_may_come_at_once() -> None:
    first = outbox_entry(1, outcome="gateway_error")
    late = outbox_entry(2, request_id="req_1", entry_no=2, outcome="success", tally=NO_TALLY)
    rows = by_outcome([first, late], {("req_1", 1): "gateway_error"}, UTC_ZONE)
    assert [(row["outcome"], row["count"]) for row in rows] == [("success", 1)]
