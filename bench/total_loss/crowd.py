"""Users with one key each who all called today and this month, and the ledger of their calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice

from ai_gateway.domain.limits import Window, window_start
from bench.scale.checking import ZONE
from bench.scale.population import ENTRY_COLUMNS, FIRST_DAY, ONE_HOUR, Population, Row

ACCOUNTS_OF_ONE = 4
"""A day and a month of the user, and of the key."""

FIRST_USER = 1_000
"""Above those that the set-up makes."""

SHAPES = 1_000
_PLACES = {name: ENTRY_COLUMNS.index(name) for name in ENTRY_COLUMNS}


@dataclass(frozen=True, slots=True)
class Crowd(Population):
    """What the bench of the pages seeds, but for this month: Redis forgets by its own clock.

    `users` have `rows` entries in turn, half of them today.
    """

    now: datetime

    def user_rows(self) -> Iterator[Row]:
        made = _text(self.now - timedelta(days=90))
        for number in self._numbers():
            yield number, f"user{number}", f"user{number}@example.com", "none", True, made

    def key_rows(self) -> Iterator[Row]:
        made = _text(self.now - timedelta(days=90))
        for number in self._numbers():
            yield (
                *(number, f"{number:08x}", f"{number:064x}", "abcd", f"key {number}", number),
                *("active", "[]", made, 1),
            )

    def limit_rows(self) -> Iterator[Row]:
        """Limits of their own for every fourth user."""
        for number in self._numbers()[::4]:
            for window, usd in (("day", 1 + number % 9), ("month", 10 + number % 90)):
                yield "user", number, window, "amount", usd * 10**9

    def audit_rows(self) -> Iterator[Row]:
        return iter(())

    def refusal_rows(self) -> Iterator[Row]:
        return iter(())

    def hours(self) -> list[tuple[datetime, int]]:
        """The hours of the month until now; today has at least a row of every user."""
        today, month = (window_start(window, self.now, ZONE) for window in Window)
        of_today = max(self.users, self.rows // 2)
        earlier = _hours(month, today)
        if not earlier:
            return _shared(_hours(today, self.now), self.rows)
        return _shared(earlier, self.rows - of_today) + _shared(_hours(today, self.now), of_today)

    def entries(self, hour: datetime, count: int, first_seq: int) -> Iterator[Row]:
        """Calls of one user after the other, as the bench of the pages has them."""
        shapes = cycle(Population(SHAPES, SHAPES).entries(FIRST_DAY, SHAPES, 1))
        moment = _text(hour)
        for seq, shape in enumerate(islice(shapes, count), first_seq):
            number = FIRST_USER + seq % self.users
            changes = {
                "request_id": f"req_{seq:024x}",
                "entry_no": 1,
                "seq": seq,
                "stream_id": f"{seq}-0",
                "user_id": number,
                "key_id": f"{number:08x}",
                "admitted_at": moment,
                "settled_at": moment,
            }
            row = list(shape)
            for name, value in changes.items():
                row[_PLACES[name]] = value
            yield tuple(row)

    def _numbers(self) -> range:
        return range(FIRST_USER, FIRST_USER + self.users)


def _hours(first: datetime, end: datetime) -> list[datetime]:
    return list(islice(_every_hour(first), int((end - first) / ONE_HOUR) or int(end > first)))


def _every_hour(first: datetime) -> Iterator[datetime]:
    while True:
        yield first
        first += ONE_HOUR


def _shared(hours: list[datetime], rows: int) -> list[tuple[datetime, int]]:
    ends = [rows * number // len(hours) for number in range(len(hours) + 1)]
    return [(hour, end - begin) for hour, begin, end in zip(hours, ends, ends[1:], strict=False)]


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"
