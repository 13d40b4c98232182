"""The fault matrix as data, and what shows each row: a scenario of the rig, tests, or a reason."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

_COUNTER = re.compile(r'`(\w+_total)(?:\{(\w+)="(\w+)"\})?`')
_FILE = Path(__file__).with_name("matrix.toml")


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: what is done, and what each side has to see.

    `tests` are those of `make test` that show it, alone or beside its scenario; `remark` says what
    is left open, or why there is neither.
    """

    row: str
    fault: str
    inject: str
    client: str
    staff: str
    ledger: str
    metric: str
    tests: tuple[str, ...]
    remark: str

    @property
    def is_later(self) -> bool:
        return self.fault.startswith("(later)")

    def counters(self) -> tuple["Counter", ...]:
        """The counters that have to rise."""
        return tuple(
            Counter(name, {label: value} if label else {})
            for name, label, value in _COUNTER.findall(self.metric)
        )


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of the scrape, without its prefix."""

    name: str
    labels: dict[str, str]


def faults() -> tuple[Fault, ...]:
    """The whole matrix, in its order."""
    rows = tomllib.loads(_FILE.read_text(encoding="utf-8"))["fault"]
    return tuple(
        Fault(**{"remark": ""} | row | {"tests": tuple(row.get("tests", ()))}) for row in rows
    )


def fault_of(row: str) -> Fault:
    return next(fault for fault in faults() if fault.row == row)


def number_of(row: str) -> int:
    return int(row.removeprefix("F"))
