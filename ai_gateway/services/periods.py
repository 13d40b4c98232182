"""The spans that reports can show, in whole local hours, and what each is compared with."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from ai_gateway.domain.limits import Window, window_end, window_start
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.usage_sums import Part, Step

MAX_CUSTOM_DAYS = 366
HOURLY_DAYS = 2
"""A custom range of up to so many days is drawn by hours."""


class RangeName(StrEnum):
    """The choices. All end now, but for a custom range whose last day is over."""

    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_30 = "30d"
    MONTH = "month"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class AskedRange:
    """A choice; only a custom one has its first and its last day, both inclusive."""

    name: RangeName = RangeName.DAYS_7
    first: date | None = None
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """From the start of a local hour to before the start of another."""

    since: datetime
    until: datetime

    def parts(self, zone: ZoneInfo) -> tuple[Part, ...]:
        """The roll-ups that add up to this span."""
        return parts_of(self.since, self.until, zone)


@dataclass(frozen=True, slots=True)
class Period:
    """What is shown, from `since` to before `until`, and the `previous` span.

    The previous span is one length earlier and is cut at the full hour that the present has
    reached, so that a partial today is compared with as much of then. It is None in the first
    hour, when there is nothing to compare yet. `step` is how wide the bars of a chart are.
    """

    asked: AskedRange
    since: datetime
    until: datetime
    previous: Span | None
    step: Step
    is_running: bool = True

    @property
    def end(self) -> datetime | None:
        """Where reads of this period end; a running one has no end, so that all of now is in it."""
        return None if self.is_running else self.until

    @property
    def part(self) -> Part:
        """The roll-ups of this period, as wide as its bars."""
        return Part(self.step, self.since, self.end)

    @property
    def last_moment(self) -> datetime:
        """Within the last day that is shown."""
        return self.until if self.is_running else self.until - timedelta(microseconds=1)

    def starts(self, zone: ZoneInfo) -> tuple[datetime, ...]:
        """The instants at which the bars of a chart begin, one for each hour or local day."""
        starts = [self.since]
        while (following := _next_start(starts[-1], self.step, zone)) < self.until:
            starts.append(following)
        return tuple(starts)


def period_of(asked: AskedRange, now: datetime, zone: ZoneInfo) -> Period:
    """A custom range is clamped to today and to `MAX_CUSTOM_DAYS`; without its days it is 7 d."""
    hour = local_hour(now, zone)
    if asked.name is RangeName.CUSTOM and asked.first and asked.last:
        return _custom_period(asked.first, asked.last, now, zone)
    if asked.name is RangeName.HOURS_24:
        since = hour - timedelta(hours=23)
        before = since - timedelta(hours=24)
    elif asked.name is RangeName.MONTH:
        since = window_start(Window.MONTH, now, zone)
        before = window_start(Window.MONTH, since - timedelta(hours=1), zone)
    else:
        asked = asked if asked.name is RangeName.DAYS_30 else AskedRange()
        days = 30 if asked.name is RangeName.DAYS_30 else 7
        since = _days_ago(days - 1, now, zone)
        before = _days_ago(2 * days - 1, now, zone)
    step = Step.HOUR if asked.name is RangeName.HOURS_24 else Step.DAY
    return Period(asked, since, now, _cut(before, since, hour - since), step)


def last_days(days: int, now: datetime, zone: ZoneInfo) -> Period:
    """Today so far and the full local days before it, `days` in all."""
    today = now.astimezone(zone).date()
    return _custom_period(today - timedelta(days=days - 1), today, now, zone)


def parts_of(since: datetime, until: datetime | None, zone: ZoneInfo) -> tuple[Part, ...]:
    """Cut a span into whole local days, which have sums of their own, and the hours left over."""
    begin = _day_from(since, zone)
    if until is None:
        return _without_empty(Part(Step.HOUR, since, begin), Part(Step.DAY, begin, None))
    end = window_start(Window.DAY, until, zone)
    if end <= begin:
        return (Part(Step.HOUR, since, until),)
    return _without_empty(
        Part(Step.HOUR, since, begin), Part(Step.DAY, begin, end), Part(Step.HOUR, end, until)
    )


def _custom_period(first: date, last: date, now: datetime, zone: ZoneInfo) -> Period:
    last = min(last, now.astimezone(zone).date())
    first = max(min(first, last), last - timedelta(days=MAX_CUSTOM_DAYS - 1))
    days = (last - first).days + 1
    since, end = _start_of(first, zone), _start_of(last + timedelta(days=1), zone)
    before = _start_of(first - timedelta(days=days), zone)
    is_running = now < end
    length = local_hour(now, zone) - since if is_running else since - before
    return Period(
        AskedRange(RangeName.CUSTOM, first, last),
        since,
        now if is_running else end,
        _cut(before, since, length),
        Step.HOUR if days <= HOURLY_DAYS else Step.DAY,
        is_running,
    )


def _cut(before: datetime, since: datetime, length: timedelta) -> Span | None:
    # A month may be longer than the one before it.
    cut = min(before + length, since)
    return Span(before, cut) if cut > before else None


def _without_empty(*parts: Part) -> tuple[Part, ...]:
    return tuple(part for part in parts if part.until is None or part.since < part.until)


def _next_start(start: datetime, step: Step, zone: ZoneInfo) -> datetime:
    return start + timedelta(hours=1) if step is Step.HOUR else window_end(Window.DAY, start, zone)


def _day_from(moment: datetime, zone: ZoneInfo) -> datetime:
    """The first local midnight that is not before `moment`."""
    start = window_start(Window.DAY, moment, zone)
    return start if start == moment else window_end(Window.DAY, moment, zone)


def _days_ago(days: int, now: datetime, zone: ZoneInfo) -> datetime:
    return _start_of(now.astimezone(zone).date() - timedelta(days=days), zone)


def _start_of(day: date, zone: ZoneInfo) -> datetime:
    return window_start(Window.DAY, datetime.combine(day, time(12), zone), zone)
