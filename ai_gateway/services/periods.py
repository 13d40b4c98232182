"""The spans that the overview can show, in whole local hours, and what each is compared with."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from ai_gateway.domain.limits import Window, window_start
from ai_gateway.stores.rollups import local_hour


class OverviewRange(StrEnum):
    """The choices; each ends now."""

    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_30 = "30d"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Span:
    """From the start of a local hour to before the start of another."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Period:
    """What is shown, from `since` to now, and the `previous` span.

    The previous span is one length earlier and is cut at the full hour that the present has
    reached, so that a partial today is compared with as much of then. It is None in the first
    hour, when there is nothing to compare yet.
    """

    since: datetime
    until: datetime
    previous: Span | None


def period_of(chosen: OverviewRange, now: datetime, zone: ZoneInfo) -> Period:
    hour = local_hour(now, zone)
    if chosen is OverviewRange.HOURS_24:
        since = hour - timedelta(hours=23)
        before = since - timedelta(hours=24)
    elif chosen is OverviewRange.MONTH:
        since = window_start(Window.MONTH, now, zone)
        before = window_start(Window.MONTH, since - timedelta(hours=1), zone)
    else:
        days = 7 if chosen is OverviewRange.DAYS_7 else 30
        since = _days_ago(days - 1, now, zone)
        before = _days_ago(2 * days - 1, now, zone)
    # A month may be longer than the one before it.
    cut = min(before + (hour - since), since)
    return Period(since, now, Span(before, cut) if cut > before else None)


def _days_ago(days: int, now: datetime, zone: ZoneInfo) -> datetime:
    day = now.astimezone(zone).date() - timedelta(days=days)
    return window_start(Window.DAY, datetime.combine(day, time(12), zone), zone)
