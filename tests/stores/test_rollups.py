"""Sums by hour, account and latency."""

from datetime import UTC, datetime
from math import ceil
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.rollups import BUCKET_GROWTH, bucket_of, by_latency
from ai_gateway.stores.tables import LatencyBucket
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
    rows = by_latency([stream, whole], UTC_ZONE)
    assert {(row["kind"], row["bucket"]): row["count"] for row in rows} == {
        ("duration", bucket_of(900)): 2,
        ("first_token", bucket_of(50)): 1,
    }


def test_late_correction_has_no_latency() -> None:
    assert by_latency([outbox_entry(1, tally=NO_TALLY | {"latency_ms": 5})], UTC_ZONE) == []


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
