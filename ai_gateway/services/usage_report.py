"""What was used in a period: in all, by provider and model, and over time.

Everything of the present period is folded from one read, so that a total, a table and the bars of
a chart cannot disagree while calls are being booked.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.money import Money
from ai_gateway.services.closed_sums import ClosedSums
from ai_gateway.services.periods import AskedRange, Period, last_days, period_of
from ai_gateway.stores.top_users import DaySpan, TopUsers, UserCostAt
from ai_gateway.stores.usage_sums import (
    ModelSums,
    ModelSumsAt,
    Step,
    UsageSums,
    UsageSumsStore,
)


class Dimension(StrEnum):
    """By what the sums of a period are split over time."""

    PROVIDER = "provider"
    MODEL = "model"
    USER = "user"


OTHERS = "Other"
MOST_USERS = 8
"""A series by users has the dearest of them; the others are the rest of the total."""


@dataclass(frozen=True, slots=True)
class ProviderUsage:
    """What went to one provider, and `previous`ly; its models, the dearest first."""

    provider: str
    sums: UsageSums
    previous: UsageSums | None
    models: tuple[ModelSums, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One provider or model over time: its sums in each hour or day of a series."""

    name: str
    sums: tuple[UsageSums, ...]

    @property
    def total(self) -> UsageSums:
        return added(self.sums)


@dataclass(frozen=True, slots=True)
class Series:
    """Lines, the dearest first, over the hours or days that begin at `starts`."""

    starts: tuple[datetime, ...]
    lines: tuple[Line, ...]

    @property
    def totals(self) -> tuple[UsageSums, ...]:
        """The sum of all lines in each hour or day."""
        empty = (UsageSums(),) * len(self.starts)
        return tuple(
            added(at) for at in zip(empty, *(line.sums for line in self.lines), strict=True)
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of a period; `previous` is None where there is nothing to compare with.

    The days in it that are over were read at `closed_at`; None where there is no such day.
    """

    period: Period
    zone: ZoneInfo
    current: UsageSums
    previous: UsageSums | None
    providers: tuple[ProviderUsage, ...]
    rows: tuple[ModelSumsAt, ...]
    closed_at: datetime | None = None

    def series(self, by: Dimension = Dimension.PROVIDER) -> Series:
        """By provider or model; the users are not in these rows."""
        named = (
            (row.provider if by is Dimension.PROVIDER else f"{row.provider}/{row.model}", row)
            for row in self.rows
        )
        points = ((name, row.start, row.sums) for name, row in named)
        return _series(self.period.starts(self.zone), points)

    def totals(self) -> tuple[UsageSums, ...]:
        """The sum of everything in each hour or day."""
        starts = self.period.starts(self.zone)
        found: list[list[UsageSums]] = [[] for _ in starts]
        for row in self.rows:
            found[bisect_right(starts, row.start) - 1].append(row.sums)
        return tuple(map(added, found))


class UsageReports:
    """Reads of roll-ups only; without a `user_id`, of the whole installation."""

    def __init__(
        self, store: UsageSumsStore, users: TopUsers, *, clock: Clock, zone: ZoneInfo
    ) -> None:
        self._sums = ClosedSums(store, clock=clock, zone=zone)
        self._users = users
        self._clock = clock
        self._zone = zone

    def usage(
        self, asked: AskedRange, user_id: int | None = None, step: Step | None = None
    ) -> Usage:
        """Without a `step`, the bars are as wide as the range has them."""
        period = period_of(asked, self._clock(), self._zone)
        return self._of(period if step is None else replace(period, step=step), user_id)

    def last_days(self, days: int, user_id: int | None = None) -> Usage:
        """Today so far and the days before it, `days` in all."""
        return self._of(last_days(days, self._clock(), self._zone), user_id)

    def by_user(self, usage: Usage) -> Series:
        """The dearest users of a period over time, and `OTHERS`; their tokens are not known."""
        period, starts = usage.period, usage.period.starts(self._zone)
        points = [
            (row.username or f"Deleted user {row.user_id}", self._start(row.start), row)
            for row in self._users_of(period)
        ]
        series = _series(
            starts,
            ((name, at, UsageSums(requests=r.requests, cost=r.cost)) for name, at, r in points),
        )
        rest = [
            UsageSums(requests=whole.requests - known.requests, cost=Money(whole.cost - known.cost))
            for whole, known in zip(usage.totals(), series.totals, strict=True)
        ]
        if not any(one.requests or one.cost for one in rest):
            return series
        return Series(starts, (*series.lines, Line(OTHERS, tuple(rest))))

    def _users_of(self, period: Period) -> tuple[UserCostAt, ...]:
        if period.step is Step.HOUR:
            return self._users.by_hour(period.since, period.end, MOST_USERS)
        first, last = (
            moment.astimezone(self._zone).date() for moment in (period.since, period.last_moment)
        )
        return self._users.by_day(DaySpan(first, last, period.is_running), MOST_USERS)

    def _start(self, start: datetime | str) -> datetime:
        if isinstance(start, datetime):
            return start
        return datetime.combine(date.fromisoformat(start), time(12), self._zone)

    def _of(self, period: Period, user_id: int | None) -> Usage:
        before = () if period.previous is None else period.previous.parts(self._zone)
        read = self._sums.series(period.part, *before, user_id=user_id)
        rows = tuple(row for row in read.rows if row.part == 0)
        previous = None if period.previous is None else [row for row in read.rows if row.part > 0]
        return Usage(
            period=period,
            zone=self._zone,
            current=added(row.sums for row in rows),
            previous=None if previous is None else added(row.sums for row in previous),
            providers=_by_provider(rows, previous),
            rows=rows,
            closed_at=read.closed_at,
        )


def _series(
    starts: tuple[datetime, ...], points: Iterable[tuple[str, datetime, UsageSums]]
) -> Series:
    found: dict[str, list[list[UsageSums]]] = defaultdict(lambda: [[] for _ in starts])
    for name, start, more in points:
        found[name][bisect_right(starts, start) - 1].append(more)
    lines = [Line(name, tuple(map(added, line))) for name, line in found.items()]
    lines.sort(key=lambda line: (-line.total.cost, -line.total.requests, line.name))
    return Series(starts, tuple(lines))


def added(sums: Iterable[UsageSums]) -> UsageSums:
    return UsageSums.of_all(sums)


def _by_provider(
    rows: Sequence[ModelSumsAt], previous: Sequence[ModelSumsAt] | None
) -> tuple[ProviderUsage, ...]:
    models: dict[tuple[str, str], list[UsageSums]] = defaultdict(list)
    for row in rows:
        models[row.provider, row.model].append(row.sums)
    below: dict[str, list[ModelSums]] = defaultdict(list)
    for (provider, model), sums in models.items():
        below[provider].append(ModelSums(provider, model, added(sums)))
    before = _sums_by_provider(previous) if previous is not None else None
    found = [
        ProviderUsage(
            provider,
            added(model.sums for model in its_models),
            None if before is None else before[provider],
            tuple(sorted(its_models, key=lambda model: (-model.sums.cost, model.model))),
        )
        for provider, its_models in below.items()
    ]
    return tuple(sorted(found, key=lambda row: (-row.sums.cost, row.provider)))


def _sums_by_provider(models: Iterable[ModelSumsAt]) -> dict[str, UsageSums]:
    found: dict[str, list[UsageSums]] = defaultdict(list)
    for model in models:
        found[model.provider].append(model.sums)
    return defaultdict(UsageSums, {name: added(sums) for name, sums in found.items()})
