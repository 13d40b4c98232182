"""What a call may cost: the numbers of `limits.toml`, and what they were made up of.

A number is not changed in passing: `python -m tests.guard --write 'the reason'`.
"""

import json
import platform
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.guard.counting import BY_PYTHON, Count

LIMITS = Path(__file__).with_name("limits.toml")
PARTS = Path(__file__).with_name("parts.json")
MARGIN = 0.05
MOST_SHOWN = 12
LEAST_PART = 20
"""A part below this is not kept: there are hundreds."""

HEADING = """\
# What one metered call of a worker in steady state may cost; 5 % more fails. Written by
# `python -m tests.guard --write 'why'`, which gives the reason to each number that it changes.
# Steps of the interpreter (bytecodes, calls of C functions) are those of one version of Python.
"""

Counts = Mapping[str, Mapping[str, Count]]
"""By the kind of call, then by what is counted."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A number, and why it is what it is."""

    number: int
    reason: str

    @property
    def most(self) -> int:
        return int(self.number * (1 + MARGIN))


@dataclass(frozen=True, slots=True)
class Limits:
    """All numbers, for one version of Python."""

    python: str
    of: Mapping[str, Mapping[str, Limit]]

    @property
    def are_of_this_python(self) -> bool:
        return self.python == this_python()


def this_python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def read_limits(path: Path = LIMITS) -> Limits:
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    python = found.pop("python")
    return Limits(
        python,
        {
            kind: {what: Limit(one["number"], one["reason"]) for what, one in numbers.items()}
            for kind, numbers in found.items()
        },
    )


def read_parts(path: Path = PARTS) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def complaint(limit: Limit, count: Count, before: Mapping[str, int]) -> str | None:
    """What is wrong with a count, with the parts that grew most; nothing where it is in bounds."""
    if count.total <= limit.most:
        return None
    rise = count.total / limit.number - 1
    lines = [
        f"{count.total:,} were counted, {rise:.1%} more than {limit.number:,} ({limit.reason}).",
        *_grown(count.parts, before, least=limit.number // 1000),
        "If it is worth that: python -m tests.guard --write 'why it costs more'",
    ]
    return "\n".join(lines)


def renewed(old: Limits | None, counts: Counts, reason: str) -> Limits:
    """The numbers as counted; the reason goes to those that changed."""
    return Limits(
        this_python(),
        {
            kind: {
                what: _renewed(old.of.get(kind, {}).get(what) if old else None, count, reason)
                for what, count in of_kind.items()
            }
            for kind, of_kind in counts.items()
        },
    )


def write(limits: Limits, counts: Counts, folder: Path = LIMITS.parent) -> None:
    """Write both files anew."""
    (folder / LIMITS.name).write_text(_as_toml(limits), encoding="utf-8")
    parts = {
        kind: {what: _large(count.parts, what) for what, count in of_kind.items()}
        for kind, of_kind in counts.items()
    }
    text = json.dumps(parts, indent=0, sort_keys=True)
    (folder / PARTS.name).write_text(f"{text}\n", encoding="utf-8")


def _renewed(old: Limit | None, count: Count, reason: str) -> Limit:
    # What moves by less is what it was: the median of a busier run.
    if old is not None and abs(count.total - old.number) * 100 <= old.number:
        return old
    return Limit(count.total, reason)


def _grown(parts: Mapping[str, int], before: Mapping[str, int], *, least: int) -> Iterator[str]:
    names = parts.keys() | before.keys()
    rises = {name: parts.get(name, 0) - before.get(name, 0) for name in names}
    for name in sorted(rises, key=lambda name: -rises[name])[:MOST_SHOWN]:
        if rises[name] > least:
            yield f"  +{rises[name]:,} {name} ({before.get(name, 0):,} -> {parts[name]:,})"


def _large(parts: Mapping[str, int], what: str) -> Mapping[str, int]:
    least = LEAST_PART if what in BY_PYTHON else 1
    return {name: number for name, number in parts.items() if number >= least}


def _as_toml(limits: Limits) -> str:
    lines: list[str] = [HEADING, f'python = "{limits.python}"']
    for kind, numbers in limits.of.items():
        lines += ["", f"[{kind}]", *map(_line, numbers, numbers.values())]
    return "\n".join(lines) + "\n"


def _line(what: str, limit: Limit) -> str:
    return f"{what} = {{ number = {limit.number}, reason = {json.dumps(limit.reason)} }}"


def shown(counts: Counts) -> Sequence[str]:
    """A line for each count."""
    return [
        f"{kind} call: {count.total:,} {what}"
        for kind, of_kind in counts.items()
        for what, count in of_kind.items()
    ]
