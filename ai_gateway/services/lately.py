"""What the last hours and days say of the present: where the month is heading, who fails now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from ai_gateway.domain.limits import Window, window_start
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import Trailing, days_left, projected_month, trailing_since
from ai_gateway.services.usage_report import added
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.usage_sums import ModelSumsAt, Part, Step, UsageSumsStore

TROUBLE_RATE = Fraction(1, 10)
TROUBLE_FAILURES = 5
"""A provider is in trouble when so many calls of this hour failed, and so large a part of them."""


@dataclass(frozen=True, slots=True)
class ProviderTrouble:
    """A provider of whose calls many failed in this hour."""

    provider: str
    error_rate: Fraction


@dataclass(frozen=True, slots=True)
class Lately:
    """`projected` is what the month will have cost; None while there is no pace to speak of."""

    projected: Money | None
    trouble: tuple[ProviderTrouble, ...]


def read_lately(sums: UsageSumsStore, now: datetime, zone: ZoneInfo) -> Lately:
    """From the days of this month and of the last week, and from this hour: one read."""
    month = window_start(Window.MONTH, now, zone)
    week = _week_before(now, zone)
    days = Part(Step.DAY, min(month, week), None)
    found = sums.series(days, Part(Step.HOUR, local_hour(now, zone), None))
    return Lately(
        projected=_projected([row for row in found if row.part == 0], now, zone),
        trouble=_trouble([row for row in found if row.part == 1]),
    )


def _projected(days: Sequence[ModelSumsAt], now: datetime, zone: ZoneInfo) -> Money | None:
    week, today = _week_before(now, zone), window_start(Window.DAY, now, zone)
    full = [day for day in days if week <= day.start < today]
    active = {day.start for day in full if day.sums.requests}
    month = window_start(Window.MONTH, now, zone)
    return projected_month(
        added(day.sums for day in days if day.start >= month).cost,
        Trailing(added(day.sums for day in full).cost, len(active)),
        days_left(now.astimezone(zone).date()),
    )


def _week_before(now: datetime, zone: ZoneInfo) -> datetime:
    today = now.astimezone(zone).date()
    days = (today - trailing_since(today)).days
    noon = now.astimezone(zone).replace(hour=12) - timedelta(days=days)
    return window_start(Window.DAY, noon, zone)


def _trouble(hour: Sequence[ModelSumsAt]) -> tuple[ProviderTrouble, ...]:
    found = []
    for provider in sorted({row.provider for row in hour}):
        sums = added(row.sums for row in hour if row.provider == provider)
        rate = sums.error_rate
        if rate is not None and rate >= TROUBLE_RATE and sums.failures >= TROUBLE_FAILURES:
            found.append(ProviderTrouble(provider, rate))
    return tuple(found)
