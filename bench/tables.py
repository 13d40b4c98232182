"""The figures of a run as tables of text, for the terminal and for the docs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.aims import Aim, aims
from bench.contestants import NGINX
from bench.figures import Calls, Cost, Events, FirstEvent, Held, Memory, Results, Times

ROLES = ("worker", "valkey", "bookkeeper", "other")


@dataclass(frozen=True, slots=True)
class Table:
    """Each row has a cell for each heading."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        )

    def markdown(self) -> str:
        head = ["| " + " | ".join(self.headings) + " |", "|" + "---|" * len(self.headings)]
        return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in self.rows)])


def tables(results: Results) -> list[Table]:
    """Give the tables that have rows."""
    every = (
        _aims(aims(results)),
        _calls(results.calls),
        _events(results.events),
        _first_events(results.first_events),
        _held(results.held),
        _memory(results.memory),
    )
    return [table for table in every if table.rows]


def _aims(found: Sequence[Aim]) -> Table:
    rows = [
        [
            aim.what,
            f"{aim.most:g}{aim.unit}",
            "" if aim.reached is None else f"{aim.reached:.4g}{aim.unit}",
            aim.verdict,
        ]
        for aim in found
    ]
    return Table("Aims", ("what", "at most", "reached", "met"), rows)


def _calls(calls: Sequence[Calls]) -> Table:
    plain = {one.connections: one for one in calls if one.server == NGINX}
    rows = [
        [
            str(one.connections),
            one.server,
            *_cost(one.cpu_us),
            _spread(one.cpu_us),
            f"{one.calls_per_second:,.0f}",
            *_times(one.ms, plain[one.connections].ms if one.connections in plain else None),
            str(one.failed or ""),
        ]
        for one in sorted(calls, key=lambda one: one.connections)
    ]
    headings = ("connections", "server", *ROLES, "all, µs CPU a call", "rounds", "calls/s")
    latencies = ("p50 ms", "p95 ms", "p99 ms", "added p50", "added p95", "added p99", "failed")
    return Table("Calls", (*headings, *latencies), rows)


def _events(events: Sequence[Events]) -> Table:
    rows = [
        [
            one.load,
            one.server,
            *_cost(one.cpu_us),
            _spread(one.cpu_us),
            f"{one.events_per_second:,.0f}",
        ]
        for one in events
    ]
    headings = ("events come", "server", *ROLES, "all, µs CPU an event", "rounds", "events/s")
    return Table("Streams: relayed events", headings, rows)


def _first_events(first_events: Sequence[FirstEvent]) -> Table:
    plain = next((one.ms for one in first_events if one.server == NGINX), None)
    rows = [[one.server, str(one.streams), *_times(one.ms, plain)] for one in first_events]
    headings = ("server", "streams", "p50 ms", "p95 ms", "p99 ms")
    added = ("added p50", "added p95", "added p99")
    return Table("Streams: time to the first event", (*headings, *added), rows)


def _held(held: Sequence[Held]) -> Table:
    rows = [
        [one.server, f"{one.streams:,}", *_by_role(one.kb_by_role, 1), f"{one.kb:.1f}"]
        for one in held
    ]
    return Table(
        "Streams: memory of each open one", ("server", "open streams", *ROLES, "all, KB"), rows
    )


def _memory(memory: Sequence[Memory]) -> Table:
    rows = [
        [
            one.server,
            *(f"{sum(mb.values()):.0f}" for mb in (one.first_mb, one.last_mb)),
            *(
                f"{mb['worker']:.1f}" if "worker" in mb else ""
                for mb in (one.first_mb, one.last_mb)
            ),
            f"{one.calls:,}",
        ]
        for one in memory
    ]
    headings = ("server", "warm, MB", "at the end", "worker, warm", "worker, at the end", "calls")
    return Table("Memory", headings, rows)


def _cost(cost: Cost) -> list[str]:
    return [*_by_role(cost.by_role, 0), f"{cost.whole:,.0f}"]


def _by_role(values: Mapping[str, float], digits: int) -> list[str]:
    """Give a cell for each role; a server of one kind of process has only the sum."""
    if set(values) == {"other"}:
        return [""] * len(ROLES)
    # Adding nothing makes of minus nothing a plain one.
    rounded = {role: round(value, digits) + 0.0 for role, value in values.items()}
    return [f"{rounded[role]:,.{digits}f}" if role in rounded else "" for role in ROLES]


def _spread(cost: Cost) -> str:
    return f"{cost.least:,.0f}-{cost.most:,.0f}"


def _times(ms: Times, plain: Times | None) -> list[str]:
    """Give the times, and by how much they are longer than those of the plain pass-through."""
    own = [ms.p50, ms.p95, ms.p99]
    cells = [f"{value:.2f}" for value in own]
    if plain is None or plain is ms:
        return [*cells, "", "", ""]
    added = zip(own, (plain.p50, plain.p95, plain.p99), strict=True)
    return [*cells, *(f"{value - base:+.2f}" for value, base in added)]
