"""Sums of days that are over, read once and kept for five minutes in this process.

A late booking may still change such a day. The ledger counts those, and what is kept belongs to one
count: it is never shown after a change, so that every page and answer has the same number.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from operator import attrgetter
from threading import Lock
from zoneinfo import ZoneInfo

from cachetools import TTLCache

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Window, window_start
from ai_gateway.stores.usage_sums import ModelSumsAt, Part, Step, UsageSums, UsageSumsStore

KEPT = timedelta(minutes=5)
MOST_ROWS = 20_000
"""Some 10 MB."""

GRACE = timedelta(hours=1)
"""A day counts as over a little later: what is late is decided by the clock of another host."""

Key = tuple[int | None, int, tuple[Part, ...]]
_order = attrgetter("part", "start", "provider", "model")


@dataclass(frozen=True, slots=True)
class SumsRead:
    """The sums of some parts; those of closed days were read at `closed_at`, if there are any."""

    rows: tuple[ModelSumsAt, ...]
    closed_at: datetime | None


class ClosedSums:
    """Reads as the store does; what is kept of one user is given to nobody else."""

    def __init__(self, store: UsageSumsStore, *, clock: Clock, zone: ZoneInfo) -> None:
        self._store = store
        self._clock = clock
        self._zone = zone
        self._kept: TTLCache[Key, SumsRead] = TTLCache(
            MOST_ROWS,
            KEPT.total_seconds(),
            timer=lambda: clock().timestamp(),
            getsizeof=lambda read: len(read.rows) + 1,
        )
        self._lock = Lock()

    def series(self, *parts: Part, user_id: int | None = None) -> SumsRead:
        """The sums of each hour or day of each part; raises `GatewayUnavailable`."""
        now = self._clock()
        edge = window_start(Window.DAY, now - GRACE, self._zone)
        closed = tuple(_until(part, edge) for part in parts)
        late_bookings, present = self._present(tuple(_since(part, edge) for part in parts), user_id)
        if _is_empty(closed):
            return SumsRead(present, None)
        kept = self._closed((user_id, late_bookings, closed), now)
        return SumsRead(tuple(sorted(chain(kept.rows, present), key=_order)), kept.closed_at)

    def _present(
        self, parts: tuple[Part, ...], user_id: int | None
    ) -> tuple[int, tuple[ModelSumsAt, ...]]:
        if _is_empty(parts):
            return self._store.late_bookings(), ()
        return self._store.present(*parts, user_id=user_id)

    def _closed(self, key: Key, now: datetime) -> SumsRead:
        with self._lock:
            found = self._kept.get(key)
        if found is not None:
            return found
        user_id, _, parts = key
        rows: Iterable[ModelSumsAt] = self._store.series(*parts, user_id=user_id)
        if user_id is not None:
            rows = self._by_day(rows, parts)
        read = SumsRead(tuple(rows), now)
        if len(read.rows) < MOST_ROWS:
            with self._lock:
                self._kept[key] = read
        return read

    def _by_day(self, rows: Iterable[ModelSumsAt], parts: tuple[Part, ...]) -> list[ModelSumsAt]:
        """Add up the hours of a user where days are asked for: a tenth of the rows."""
        starts: dict[datetime, datetime] = {}
        found: dict[ModelSumsAt, list[UsageSums]] = defaultdict(list)
        for row in rows:
            start = row.start
            if parts[row.part].step is Step.DAY:
                if start not in starts:
                    starts[start] = window_start(Window.DAY, start, self._zone)
                start = starts[start]
            found[replace(row, start=start, sums=UsageSums())].append(row.sums)
        return [replace(row, sums=UsageSums.of_all(sums)) for row, sums in found.items()]


def _is_empty(parts: Iterable[Part]) -> bool:
    return all(part.since == part.until for part in parts)


def _until(part: Part, edge: datetime) -> Part:
    """What is before the edge; empty where the part begins behind it."""
    until = edge if part.until is None else min(part.until, edge)
    return replace(part, until=max(part.since, until))


def _since(part: Part, edge: datetime) -> Part:
    """What is not before the edge; empty where the part ends before it."""
    since = max(part.since, edge)
    return replace(part, since=since if part.until is None else min(since, part.until))
