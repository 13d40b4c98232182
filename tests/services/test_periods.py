"""The spans of the overview and what they are compared with."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.services.periods import OverviewRange, Span, period_of

NOW = datetime(2026, 11, 23, 7, 10, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("chosen", "zone", "since", "previous"),
    [
        ("24h", "UTC", "2026-11-22T08:00", ("2026-11-21T08:00", "2026-11-22T07:00")),
        ("7d", "UTC", "2026-11-17T00:00", ("2026-11-10T00:00", "2026-11-16T07:00")),
        ("30d", "UTC", "2026-10-25T00:00", ("2026-09-25T00:00", "2026-10-24T07:00")),
        ("month", "UTC", "2026-11-01T00:00", ("2026-10-01T00:00", "2026-10-23T07:00")),
        # 12:40 in India, whose hours begin at half past.
        ("24h", "Asia/Kolkata", "2026-11-22T07:30", ("2026-11-21T07:30", "2026-11-22T06:30")),
        ("7d", "Asia/Kolkata", "2026-11-16T18:30", ("2026-11-09T18:30", "2026-11-16T06:30")),
        # Still the 22nd in California, where the clocks went back on the first of November.
        ("7d", "America/Los_Angeles", "2026-11-16T08:00", ("2026-11-09T08:00", "2026-11-16T07:00")),
        (
            "30d",
            "America/Los_Angeles",
            "2026-10-24T07:00",
            ("2026-09-24T07:00", "2026-10-24T07:00"),
        ),
    ],
)
def test_a_period_begins_on_a_local_hour_and_the_previous_is_cut_at_the_full_hour(
    chosen: str, zone: str, since: str, previous: tuple[str, str]
) -> None:
    period = period_of(OverviewRange(chosen), NOW, ZoneInfo(zone))
    assert (period.since, period.until) == (at(since), NOW)
    assert period.previous == Span(at(previous[0]), at(previous[1]))


def test_a_long_month_is_compared_with_all_of_a_short_one() -> None:
    period = period_of(OverviewRange.MONTH, at("2026-03-31T20:00"), ZoneInfo("UTC"))
    assert period.previous == Span(at("2026-02-01T00:00"), at("2026-03-01T00:00"))


def test_the_first_hour_of_a_month_has_nothing_to_be_compared_with() -> None:
    assert period_of(OverviewRange.MONTH, at("2026-11-01T00:59"), ZoneInfo("UTC")).previous is None
