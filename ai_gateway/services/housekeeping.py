"""Lets nothing grow for ever: each work goes in short steps and can be ended after any of them.

What a run has begun and not ended, the next one goes on with.
"""

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.retention import kept_until
from ai_gateway.stores.counter_keys import CounterKey, CounterKeys

ROWS_AT_ONCE = 100
"""One transaction on SQLite, in which other writers wait, takes a few milliseconds with so many."""

REFUSALS_KEPT = timedelta(days=30)
KEY_ORDERS_KEPT = timedelta(days=30)
DELIVERIES_KEPT = timedelta(days=90)
ALERTS_KEPT = timedelta(days=400)
"""Longer than their deliveries, whose names are made of those of alerts."""


class Work(Protocol):
    """What a task does. Every step is short, and tells how many things it did."""

    done: str
    """What is counted, as in "Sessions removed"."""

    def plan(self) -> str:
        """What a run would do now, in words; changes nothing."""

    def steps(self) -> Generator[int, None, None]:
        """Do it, step by step."""


class Rows(Protocol):
    """Rows that are old, at a moment that is handed in."""

    def count(self, now: datetime) -> int:
        """How many there are."""

    def remove(self, now: datetime, most: int) -> int:
        """Remove up to so many; returns how many went."""


class RowsWork:
    """Removes old rows, named in words as `things`."""

    def __init__(self, rows: Rows, things: str, clock: Clock) -> None:
        self._rows = rows
        self._things = things
        self._clock = clock
        self.done = f"{things} removed"

    def plan(self) -> str:
        return f"{self._things} to remove: {self._rows.count(self._clock()):,}"

    def steps(self) -> Generator[int, None, None]:
        now = self._clock()
        while removed := self._rows.remove(now, ROWS_AT_ONCE):
            yield removed


class CountersWork:
    """Removes counters of windows that are long over, and gives those an end that have none.

    Most end by themselves. One without an end would be left by an older version, or by hand.
    """

    done = "Counters removed or given an end"

    def __init__(self, keys: CounterKeys, clock: Clock, zone: ZoneInfo) -> None:
        self._keys = keys
        self._clock = clock
        self._zone = zone

    def plan(self) -> str:
        old = endless = 0
        for page in self._keys.pages():
            is_old = [self._is_old(key) for key in page]
            old += sum(is_old)
            endless += sum(
                not key.has_end for key, gone in zip(page, is_old, strict=True) if not gone
            )
        return f"Counters to remove: {old:,}; to be given an end: {endless:,}"

    def steps(self) -> Generator[int, None, None]:
        for page in self._keys.pages():
            old = [key.account for key in page if self._is_old(key)]
            endless = [key for key in page if not key.has_end and key.account not in old]
            ends = ((key.account, kept_until(key.account, self._zone)) for key in endless)
            yield self._keys.remove(old) + self._keys.end(ends)

    def _is_old(self, key: CounterKey) -> bool:
        return kept_until(key.account, self._zone) <= self._clock()
