"""What one of the ten figures is, what it is given to be measured, and what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.figures.record import Record


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out: `value` for the table, `counts` behind it, `faults` in words.

    `is_met` says whether the target is reached as far as was measured.
    """

    value: str
    is_met: bool
    counts: Mapping[str, int | float]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """What a figure is measured with: so much of its unit, by the chances of a seed."""

    amount: int
    seed: int
    record: Record
    has_done: Callable[[int], None]
    """Is told how much is done, for whoever waits."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the ten: `short` or `full` of `unit` is measured; the target asks for `full`.

    `how` says what is done, for the docs.
    """

    number: int
    name: str
    target: str
    how: str
    unit: str
    short: int
    full: int
    measure: Callable[[Trial], Measured]

    def amount_of(self, scale: str) -> int:
        return self.full if scale == "full" else self.short
