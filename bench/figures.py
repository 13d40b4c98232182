"""From what was seen to figures: percentiles, CPU per call and event, medians over rounds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time in microseconds for one call or one event, by role of the process."""

    by_role: Mapping[str, float]
    whole: float
    least: float
    most: float
    """The dearest round; in the figures of one round the three are equal."""


@dataclass(frozen=True, slots=True)
class Times:
    """In milliseconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Calls:
    """One server under one load, in one round or as the median of several."""

    server: str
    connections: int
    calls: int
    failed: int
    cpu_us: Cost
    calls_per_second: float
    ms: Times


@dataclass(frozen=True, slots=True)
class Events:
    """Streams relayed by one server; the cost is that of one event."""

    server: str
    load: str
    events: int
    cpu_us: Cost
    events_per_second: float


@dataclass(frozen=True, slots=True)
class FirstEvent:
    """Time until the first event of a stream, one stream after another."""

    server: str
    streams: int
    ms: Times


@dataclass(frozen=True, slots=True)
class Held:
    """Memory in KB for each of the open streams."""

    server: str
    streams: int
    kb_by_role: Mapping[str, float]
    kb: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in MB when the server was warm, and after so many calls more."""

    server: str
    calls: int
    first_mb: Mapping[str, float]
    last_mb: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Results:
    """All figures of a run; medians, but for the rounds."""

    calls: Sequence[Calls] = field(default_factory=list)
    events: Sequence[Events] = field(default_factory=list)
    first_events: Sequence[FirstEvent] = field(default_factory=list)
    held: Sequence[Held] = field(default_factory=list)
    memory: Sequence[Memory] = field(default_factory=list)
    traces: Mapping[str, int] = field(default_factory=dict)
    """Of ours with everything on: how many were offered for sending, sent and dropped."""
    not_measured: Mapping[str, str] = field(default_factory=dict)
    """What, and why."""
    rounds: Sequence[Calls | Events] = field(default_factory=list)


def percentile(ordered: Sequence[int], share: float) -> float:
    """Give the smallest value that at least `share` of the values do not exceed."""
    if not ordered:
        raise ValueError("no values")
    position = max(0, -int(-share * len(ordered) // 1) - 1)
    return float(ordered[position])


def times(microseconds: Iterable[int]) -> Times:
    ordered = sorted(microseconds)
    return Times(*(percentile(ordered, share) / 1000 for share in (0.50, 0.95, 0.99)))


def cost(seconds: Mapping[str, float], count: int) -> Cost:
    """Share CPU time out among so many calls or events."""
    by_role = {role: spent / count * 1e6 for role, spent in seconds.items()}
    whole = sum(by_role.values())
    return Cost(by_role, whole, whole, whole)


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Give the medians of each role and of the whole, whose sum need not be the same."""
    return Cost(
        {role: median(one.by_role[role] for one in costs) for role in costs[0].by_role},
        median(one.whole for one in costs),
        min(one.least for one in costs),
        max(one.most for one in costs),
    )


def median_times(of: Sequence[Times]) -> Times:
    return Times(
        median(one.p50 for one in of), median(one.p95 for one in of), median(one.p99 for one in of)
    )


def median_calls(rounds: Iterable[Calls]) -> list[Calls]:
    """Give the median of each figure for each server and number of connections."""
    return [
        Calls(
            server=group[0].server,
            connections=group[0].connections,
            calls=sum(one.calls for one in group),
            failed=sum(one.failed for one in group),
            cpu_us=median_cost([one.cpu_us for one in group]),
            calls_per_second=median(one.calls_per_second for one in group),
            ms=median_times([one.ms for one in group]),
        )
        for group in _grouped(rounds, lambda one: (one.server, one.connections))
    ]


def median_events(rounds: Iterable[Events]) -> list[Events]:
    return [
        Events(
            server=group[0].server,
            load=group[0].load,
            events=sum(one.events for one in group),
            cpu_us=median_cost([one.cpu_us for one in group]),
            events_per_second=median(one.events_per_second for one in group),
        )
        for group in _grouped(rounds, lambda one: (one.server, one.load))
    ]


def median_first_events(rounds: Iterable[FirstEvent]) -> list[FirstEvent]:
    return [
        FirstEvent(
            group[0].server,
            sum(one.streams for one in group),
            median_times([one.ms for one in group]),
        )
        for group in _grouped(rounds, lambda one: one.server)
    ]


def _grouped(values: Iterable[Seen], key: Callable[[Seen], object]) -> list[list[Seen]]:
    groups: dict[object, list[Seen]] = {}
    for one in values:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())
