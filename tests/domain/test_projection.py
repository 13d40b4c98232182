"""What a month will have cost at its end."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import (
    Trailing,
    days_left,
    exhausted_at,
    projected_month,
    trailing_since,
)


@pytest.mark.parametrize(
    ("so_far", "week", "active", "days", "expected"),
    [
        (100, 70, 7, 10, 200),
        (100, 70, 3, 10, 200),
        (100, 70, 2, 10, None),
        (100, 0, 0, 10, None),
        (100, 70, 7, 0, 100),
        # A seventh of a nano-dollar is no money.
        (0, 1, 7, 13, 1),
    ],
)
def test_a_month_goes_on_as_the_last_week_did(
    so_far: int, week: int, active: int, days: int, expected: int | None
) -> None:
    assert projected_month(Money(so_far), Trailing(Money(week), active), days) == expected


@pytest.mark.parametrize(
    ("today", "left", "since"),
    [
        (date(2026, 11, 1), 29, date(2026, 10, 25)),
        (date(2026, 11, 30), 0, date(2026, 11, 23)),
        (date(2028, 2, 28), 1, date(2028, 2, 21)),
        (date(2026, 12, 31), 0, date(2026, 12, 24)),
    ],
)
def test_days_are_those_of_the_calendar(today: date, left: int, since: date) -> None:
    assert (days_left(today), trailing_since(today)) == (left, since)


@pytest.mark.parametrize(
    ("left", "week", "active", "expected"),
    [
        (30, 70, 7, timedelta(days=3)),
        (5, 70, 3, timedelta(hours=12)),
        (30, 70, 2, None),
        (0, 70, 7, None),
        (-5, 70, 7, None),
        (30, 0, 7, None),
        # A pace of less than a nano-dollar a day is none.
        (30, 6, 7, None),
        (10**18, 70, 7, timedelta(days=366)),
    ],
)
def test_a_budget_is_used_up_at_the_pace_of_the_last_week(
    left: int, week: int, active: int, expected: timedelta | None
) -> None:
    now = datetime(2026, 11, 23, 7, tzinfo=UTC)
    found = exhausted_at(Money(left), Trailing(Money(week), active), now)
    assert found == (None if expected is None else now + expected)
