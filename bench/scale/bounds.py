"""What a page may cost, and what of a run is beyond it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.scale.addresses import BLOCKED, OVERVIEW, REQUESTS, USERS
from bench.scale.databases import POSTGRESQL, SQLITE
from bench.scale.measuring import Counted, Measured
from bench.scale.memory import Growth

MOST_STATEMENTS = {OVERVIEW: 12, USERS: 6, REQUESTS: 4, BLOCKED: 4}
MOST_STATEMENTS_ELSEWHERE = 12
"""The look-up of the session, which every request needs, is one of them."""

MOST_TIMES = {SQLITE: 2.0, POSTGRESQL: 2.5}
LEAST_RISE_MS = 15.0
"""With ten times as many rows a page may take so much longer; a rise below this is no rise.

PostgreSQL reads the last seven days of each user one by one to sort by the projection.
"""

MOST_MS_OF_ONE = 150.0
"""Of one user, it is the hours with a call that grow, up to those of a month."""

MOST_STATEMENT_MS = {SQLITE: 50.0, POSTGRESQL: 150.0}
"""SQLite runs in the worker, whose other calls stand still meanwhile; for PostgreSQL it waits."""

MOST_KILOBYTES = 400.0
MOST_MEGABYTES = 50.0


@dataclass(frozen=True, slots=True)
class Compared:
    """One address on the short and on the long ledger."""

    short: Measured
    long: Measured

    @property
    def times(self) -> float:
        return self.long.cpu_ms / self.short.cpu_ms

    def is_flat(self, database: str) -> bool:
        if self.long.address.of_one:
            return self.long.cpu_ms <= MOST_MS_OF_ONE
        rise = self.long.cpu_ms - self.short.cpu_ms
        return self.times <= MOST_TIMES[database] or rise < LEAST_RISE_MS


def statement_faults(counted: Sequence[Counted]) -> Iterator[str]:
    """Too many statements, or another number of them on another page of the same list."""
    counts: dict[str, set[int]] = defaultdict(set)
    for one in counted:
        most = MOST_STATEMENTS.get(one.address.group, MOST_STATEMENTS_ELSEWHERE)
        if one.statements > most:
            yield f"{one.address.path}: {one.statements} statements, {most} are allowed"
        if one.address.series:
            counts[one.address.series].add(one.statements)
    for series, numbers in counts.items():
        if len(numbers) > 1:
            yield f"{series}: pages of one list need {sorted(numbers)} statements"


def size_faults(counted: Sequence[Counted]) -> Iterator[str]:
    for one in counted:
        if one.kilobytes > MOST_KILOBYTES:
            yield f"{one.address.path}: {one.kilobytes:.0f} KB, {MOST_KILOBYTES:.0f} are allowed"


def time_faults(database: str, compared: Sequence[Compared]) -> Iterator[str]:
    """Growing with the ledger, or a statement that takes too long."""
    for one in compared:
        path = one.long.address.path
        if not one.is_flat(database):
            took = f"{one.long.cpu_ms:.0f} ms, {one.times:.1f} times as long"
            yield f"{path}: {took} on the long ledger"
        if one.long.slowest_ms > MOST_STATEMENT_MS[database]:
            yield f"{path}: a statement of {one.long.slowest_ms:.0f} ms"


def memory_faults(growths: Sequence[Growth]) -> Iterator[str]:
    for one in growths:
        if one.megabytes > MOST_MEGABYTES:
            yield f"{one.name}: memory grows by {one.megabytes:.0f} MB"
