"""The spans of the overview and what they are compared with."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.services.periods import (
    AskedRange,
    RangeName,
    Span,
    last_days,
    parts_of,
    period_of,
)
from ai_gateway.stores.usage_sums import Part, Step

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
    period = period_of(AskedRange(RangeName(chosen)), NOW, ZoneInfo(zone))
    assert (period.since, period.until) == (at(since), NOW)
    assert period.previous == Span(at(previous[0]), at(previous[1]))


def test_a_long_month_is_compared_with_all_of_a_short_one() -> None:
    period = period_of(AskedRange(RangeName.MONTH), at("2026-03-31T20:00"), ZoneInfo("UTC"))
    assert period.previous == Span(at("2026-02-01T00:00"), at("2026-03-01T00:00"))


def test_the_first_hour_of_a_month_has_nothing_to_be_compared_with() -> None:
    assert (
        period_of(AskedRange(RangeName.MONTH), at("2026-11-01T00:59"), ZoneInfo("UTC")).previous
        is None
    )


def custom(first: str, last: str) -> AskedRange:
    return AskedRange(RangeName.CUSTOM, date.fromisoformat(first), date.fromisoformat(last))


def test_a_custom_range_has_whole_days_and_is_compared_with_as_many_before() -> None:
    period = period_of(custom("2026-11-03", "2026-11-09"), NOW, ZoneInfo("UTC"))
    assert (period.since, period.until) == (at("2026-11-03T00:00"), at("2026-11-10T00:00"))
    assert period.previous == Span(at("2026-10-27T00:00"), at("2026-11-03T00:00"))
    assert not period.is_running


def test_a_custom_range_that_reaches_today_ends_now() -> None:
    period = period_of(custom("2026-11-22", "2026-11-30"), NOW, ZoneInfo("UTC"))
    assert (period.asked.last, period.until) == (date(2026, 11, 23), NOW)
    assert period.previous == Span(at("2026-11-20T00:00"), at("2026-11-21T07:00"))
    assert period.is_running


def test_a_custom_range_is_put_in_order_and_cut_to_a_year() -> None:
    backwards = period_of(custom("2026-11-09", "2026-11-03"), NOW, ZoneInfo("UTC"))
    assert (backwards.asked.first, backwards.asked.last) == (date(2026, 11, 3), date(2026, 11, 3))
    ages = period_of(custom("1999-01-01", "2026-11-23"), NOW, ZoneInfo("UTC"))
    assert ages.since == at("2025-11-23T00:00")


def test_a_custom_range_without_its_days_is_the_default() -> None:
    assert period_of(AskedRange(RangeName.CUSTOM), NOW, ZoneInfo("UTC")).asked == AskedRange()


def test_bars_are_hours_of_a_day_and_days_of_a_longer_span() -> None:
    day = period_of(AskedRange(RangeName.HOURS_24), NOW, ZoneInfo("Asia/Kolkata"))
    starts = day.starts(ZoneInfo("Asia/Kolkata"))
    assert (len(starts), starts[0], starts[-1]) == (24, day.since, at("2026-11-23T06:30"))
    week = period_of(AskedRange(), NOW, ZoneInfo("UTC")).starts(ZoneInfo("UTC"))
    assert (len(week), week[0], week[-1]) == (7, at("2026-11-17T00:00"), at("2026-11-23T00:00"))


def test_a_day_of_twenty_five_hours_is_one_bar() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    starts = period_of(custom("2026-10-31", "2026-11-03"), NOW, zone).starts(zone)
    hours = [(later - start) / timedelta(hours=1) for start, later in pairwise(starts)]
    assert hours == [24, 25, 24]
    # And as hours it has 25 of them.
    assert len(period_of(custom("2026-11-01", "2026-11-01"), NOW, zone).starts(zone)) == 25


def test_the_last_days_count_today() -> None:
    assert last_days(1, NOW, ZoneInfo("UTC")).since == at("2026-11-23T00:00")
    assert last_days(30, NOW, ZoneInfo("UTC")).since == at("2026-10-25T00:00")


def test_a_span_is_cut_into_whole_days_and_the_hours_around_them() -> None:
    zone = ZoneInfo("UTC")
    assert parts_of(at("2026-11-20T05:00"), at("2026-11-23T07:00"), zone) == (
        Part(Step.HOUR, at("2026-11-20T05:00"), at("2026-11-21T00:00")),
        Part(Step.DAY, at("2026-11-21T00:00"), at("2026-11-23T00:00")),
        Part(Step.HOUR, at("2026-11-23T00:00"), at("2026-11-23T07:00")),
    )
    assert parts_of(at("2026-11-20T05:00"), at("2026-11-20T07:00"), zone) == (
        Part(Step.HOUR, at("2026-11-20T05:00"), at("2026-11-20T07:00")),
    )
    assert parts_of(at("2026-11-20T00:00"), None, zone) == (
        Part(Step.DAY, at("2026-11-20T00:00"), None),
    )
