"""The system page: how many calls ended how, how long they took, and what was refused."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.call import Outcome
from ai_gateway.services.periods import AskedRange
from ai_gateway.services.usage_report import Usage, UsageReports
from ai_gateway.stores.rollups import DURATION, FIRST_TOKEN, OVERHEAD, bucket_time
from ai_gateway.stores.system_sums import EndingCount, RefusalCount, SystemSums, TimeCount

PERCENTS = (50, 95, 99)
KINDS = (DURATION, FIRST_TOKEN, OVERHEAD)


@dataclass(frozen=True, slots=True)
class Times:
    """Percentiles of one kind of time; the unit is that of its buckets.

    `overall` by percent, and the same for each hour or day; None where nothing was measured.
    """

    overall: Mapping[int, float | None]
    course: Mapping[int, tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class Refusals:
    """How many requests were refused for one reason: in all, and in each hour or day."""

    reason: str
    count: int
    course: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SystemReport:
    """What is on the page beside the health of the parts. Every course is over `starts`.

    `outcomes` has a number for each bar; a bar without any call is None, which is a gap.
    """

    usage: Usage
    starts: tuple[datetime, ...]
    outcomes: Mapping[Outcome, tuple[int | None, ...]]
    times: Mapping[str, Times]
    refusals: tuple[Refusals, ...]

    @property
    def refused(self) -> int:
        return sum(row.count for row in self.refusals)


class SystemReports:
    """Reads of roll-ups only."""

    def __init__(self, usage: UsageReports, sums: SystemSums, zone: ZoneInfo) -> None:
        self._usage = usage
        self._sums = sums
        self._zone = zone

    def report(self, asked: AskedRange) -> SystemReport:
        usage = self._usage.usage(asked)
        period = usage.period
        starts = period.starts(self._zone)
        found = self._sums.times(period.part)
        return SystemReport(
            usage=usage,
            starts=starts,
            outcomes=_outcomes(self._sums.endings(period.since, period.end), starts),
            times={kind: _times(found, kind, starts) for kind in KINDS},
            refusals=_refusals(self._sums.refusals(period.since, period.end), starts),
        )


def percentile(counts: Mapping[int, int], percent: int) -> float | None:
    """The time below which `percent` of the times lie, within the width of a bucket."""
    total = sum(counts.values())
    if not total:
        return None
    rank, seen = -(-total * percent // 100), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return bucket_time(bucket)
    return bucket_time(max(counts))


def _times(found: Iterable[TimeCount], kind: str, starts: tuple[datetime, ...]) -> Times:
    whole: Counter[int] = Counter()
    bars: list[Counter[int]] = [Counter() for _ in starts]
    for row in found:
        if row.kind == kind:
            whole[row.bucket] += row.count
            bars[bisect_right(starts, row.start) - 1][row.bucket] += row.count
    return Times(
        overall={percent: percentile(whole, percent) for percent in PERCENTS},
        course={percent: tuple(percentile(bar, percent) for bar in bars) for percent in PERCENTS},
    )


def _refusals(found: Iterable[RefusalCount], starts: tuple[datetime, ...]) -> tuple[Refusals, ...]:
    """The commonest first."""
    bars: dict[str, Counter[int]] = defaultdict(Counter)
    for row in found:
        bars[row.reason][bisect_right(starts, row.hour) - 1] += row.count
    refusals = (
        Refusals(reason, bar.total(), tuple(bar[place] for place in range(len(starts))))
        for reason, bar in bars.items()
    )
    return tuple(sorted(refusals, key=lambda one: (-one.count, one.reason)))


def _outcomes(
    found: Iterable[EndingCount], starts: tuple[datetime, ...]
) -> dict[Outcome, tuple[int | None, ...]]:
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for row in found:
        counts[row.outcome][bisect_right(starts, row.hour) - 1] += row.count
    busy = {place for bars in counts.values() for place in bars}
    return {
        outcome: tuple(
            counts[outcome][place] if place in busy else None for place in range(len(starts))
        )
        for outcome in Outcome
        if outcome in counts
    }
