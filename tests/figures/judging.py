"""Counts what was lost and what was billed twice, from what clients were told and what was booked.

It only reads. `tests/figures/test_judging.py` hands it histories in which a call was lost.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.faults.checker import Call, complaints_of_calls
from tests.faults.history import Told

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lost`: answered or served by the provider, and not booked. `doubled`: booked more than once,
    or booked though nobody asked for it.
    """

    calls: int = 0
    answered: int = 0
    booked: int = 0
    lost: int = 0
    doubled: int = 0
    complaints: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.complaints)

    def counts(self) -> dict[str, int | float]:
        return {
            "calls": self.calls,
            "answered": self.answered,
            "booked": self.booked,
            "lost": self.lost,
            "double-billed": self.doubled,
        }


def judge(told: Sequence[Told], rows: Iterable[Row], served: int = 0) -> Verdict:
    """What became of the calls of one key, of which the provider served so many."""
    calls = _by_call(rows)
    answered = {one.request_id for one in told if one.status == 200 and one.request_id}
    booked = {call.request_id for call in calls}
    counted = {call.request_id for call in calls if sum(row["requests"] for row in call.rows)}
    return Verdict(
        len(told),
        len(answered),
        len(booked),
        lost=max(len(answered - booked), served - len(counted)),
        doubled=sum(map(_is_doubled, calls)) + _of_nobody(told, booked),
        complaints=tuple(complaints_of_calls(told, calls)),
    )


def total(verdicts: Iterable[Verdict]) -> Verdict:
    """All keys together."""
    found = list(verdicts)
    return Verdict(
        sum(one.calls for one in found),
        sum(one.answered for one in found),
        sum(one.booked for one in found),
        lost=sum(one.lost for one in found),
        doubled=sum(one.doubled for one in found),
        complaints=tuple(complaint for one in found for complaint in one.complaints),
    )


def overspent(limit: int, spent: int, seen: Iterable[tuple[int, int]]) -> int:
    """By how many nano-USD an account ever was beyond its limit, of spent and held as were seen."""
    return max(0, spent - limit, *(spent + held - limit for spent, held in seen))


def gaps(numbers: Iterable[int]) -> int:
    """How many numbers of a sequence are missing, or are there twice."""
    times = Counter(numbers)
    if not times:
        return 0
    missing = max(times) - min(times) + 1 - len(times)
    return missing + sum(count - 1 for count in times.values())


def median_error(pairs: Sequence[tuple[int, int]]) -> float:
    """The middle of how far costs are from the true ones (booked, true), as a share of these."""
    return median(abs(booked - true) / true for booked, true in pairs) if pairs else 0.0


def admitted_late(calls: Iterable[tuple[float, int]], confirmed_at: float) -> int:
    """How many calls (sent at, status) were served though their key was confirmed to be revoked."""
    return sum(status == 200 and sent_at > confirmed_at for sent_at, status in calls)


def foreign_bytes(text: bytes, foreign: Iterable[bytes]) -> int:
    """How many bytes of others are in what somebody got."""
    return sum(text.count(word) * len(word) for word in foreign)


def _by_call(rows: Iterable[Row]) -> list[Call]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["request_id"]].append(row)
    return [Call(request_id, of_call) for request_id, of_call in found.items()]


def _is_doubled(call: Call) -> bool:
    numbers = [row["entry_no"] for row in call.rows]
    return len(set(numbers)) != len(numbers) or sum(row["requests"] for row in call.rows) > 1


def _of_nobody(told: Sequence[Told], booked: set[str]) -> int:
    """Calls that no client asked for; one that broke off before its headers has no name."""
    named = {one.request_id for one in told if one.request_id}
    nameless = sum(not one.request_id for one in told)
    return max(0, len(booked - named) - nameless)
