"""From what was seen to figures: percentiles, CPU per call, medians over rounds, ratios."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Phase:
    """One server under one load in one round."""

    server: str
    connections: int
    seconds: float
    latencies_us: Sequence[int]
    cpu_seconds: Mapping[str, float]
    """By role of the process."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a phase comes to, or the median of several phases."""

    server: str
    connections: int
    calls: int
    cpu_us: Mapping[str, float]
    """Microseconds per call, by role."""
    cpu_us_sum: float
    calls_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def percentile(ordered: Sequence[int], share: float) -> float:
    """Give the smallest value that at least `share` of the values do not exceed."""
    if not ordered:
        raise ValueError("no values")
    position = max(0, -int(-share * len(ordered) // 1) - 1)
    return float(ordered[position])


def figures_of(phase: Phase) -> Figures:
    calls = len(phase.latencies_us)
    ordered = sorted(phase.latencies_us)
    cpu_us = {role: seconds / calls * 1e6 for role, seconds in phase.cpu_seconds.items()}
    return Figures(
        server=phase.server,
        connections=phase.connections,
        calls=calls,
        cpu_us=cpu_us,
        cpu_us_sum=sum(cpu_us.values()),
        calls_per_second=calls / phase.seconds,
        p50_ms=percentile(ordered, 0.50) / 1000,
        p95_ms=percentile(ordered, 0.95) / 1000,
        p99_ms=percentile(ordered, 0.99) / 1000,
    )


def summary(rounds: Iterable[Figures]) -> list[Figures]:
    """Give the median of each figure for each server and number of connections."""
    groups: dict[tuple[str, int], list[Figures]] = {}
    for one in rounds:
        groups.setdefault((one.server, one.connections), []).append(one)
    return [_median(group) for group in groups.values()]


def ratio(of: Figures, to: Figures) -> float:
    """Say how many times the CPU of `to` a call costs with `of`."""
    return of.cpu_us_sum / to.cpu_us_sum


def _median(group: Sequence[Figures]) -> Figures:
    first = group[0]
    return Figures(
        server=first.server,
        connections=first.connections,
        calls=sum(one.calls for one in group),
        cpu_us={role: median(one.cpu_us[role] for one in group) for role in first.cpu_us},
        cpu_us_sum=median(one.cpu_us_sum for one in group),
        calls_per_second=median(one.calls_per_second for one in group),
        p50_ms=median(one.p50_ms for one in group),
        p95_ms=median(one.p95_ms for one in group),
        p99_ms=median(one.p99_ms for one in group),
    )
