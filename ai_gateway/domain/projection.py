"""What a month will have cost at its end, if the days to come are like the last seven."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ai_gateway.domain.money import ZERO, Money

TRAILING_DAYS = 7
LEAST_ACTIVE_DAYS = 3
"""With fewer there is no pace to speak of."""


@dataclass(frozen=True, slots=True)
class Trailing:
    """The last seven full days: what they cost, and how many of them had a request."""

    cost: Money = ZERO
    active_days: int = 0

    @property
    def daily_pace(self) -> Money | None:
        """What a day cost on average, rounded down; None with too few active days."""
        if self.active_days < LEAST_ACTIVE_DAYS:
            return None
        return Money(self.cost // TRAILING_DAYS)


NO_DAYS = Trailing()


def trailing_since(today: date) -> date:
    """The first of the seven days before today, which is not over yet."""
    return today - timedelta(days=TRAILING_DAYS)


def days_left(today: date) -> int:
    """The days of this month after today."""
    return monthrange(today.year, today.month)[1] - today.day


def projected_month(so_far: Money, trailing: Trailing, days: int) -> Money | None:
    """The cost of this month so far and of `days` more at the daily average of the last seven."""
    if trailing.active_days < LEAST_ACTIVE_DAYS:
        return None
    return Money(so_far + trailing.cost * days // TRAILING_DAYS)


def exhausted_at(left: Money, trailing: Trailing, now: datetime) -> datetime | None:
    """When what is left of a budget is used up at the pace of the last seven days.

    None without a pace, or where nothing is left any more.
    """
    if left <= 0 or not trailing.daily_pace:
        return None
    days = left * TRAILING_DAYS / trailing.cost
    # Further than any window is wide, and than a calendar can count.
    return now + timedelta(days=min(days, 366))
