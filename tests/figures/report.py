"""The figures as a table for the terminal, as JSON, and as the page of the docs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.figures.figure import Figure, Measured
from tests.figures.record import RawFile

HEADINGS = ("#", "target", "measured", "of what the target asks", "met at this size")
HEAD = """# Ten figures

Written by `make figures ARGS=--write-docs` from `bench/results/figures.json`; a test compares. \
Each figure is a promise that can be measured: the target, the number, how much of what the target \
asks was measured, and the counts behind it. What falls short stands here as it is.

```sh
make figures                                # all ten, some 25 minutes on two idle cores
make figures ARGS="--only 3 --seed 7"       # some of them, with other chances
make figures ARGS="--scale full --only 3"   # at the full size of the target
```

All of it runs on one machine: two workers, bookkeeper, Valkey or Redis, SQLite or PostgreSQL, and \
the simulator as provider, each a process of its own (`tests/faults/`). Seeds choose the faults, \
their moments and the calls; which call meets which fault is chance all the same, so that a seed \
repeats the kind of a run and not each call. Numbers of calls, rows and nano-dollars are exact; \
times are those of this machine while it did other work, and hints. The judges are tested with \
histories in which a call was lost, billed twice or told to somebody else \
(`tests/figures/test_judging.py`).

The raw history of a figure (what every client was told, what was done, what the ledger has) is \
written to `var/figures/`, one line of JSON for each, compressed; it is not part of the \
repository. Its digest is that of the lines: `gzip -dc FILE | sha256sum`.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure as it was measured, with all that it was measured on."""

    number: int
    amount: int
    measured: Measured
    seconds: float
    raw: RawFile
    conditions: Mapping[str, str]

    def facts(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def read_entries(path: Path) -> dict[int, Entry]:
    """What was measured before, by number; nothing where there is no such file."""
    if not path.exists():
        return {}
    entries = map(_entry, json.loads(path.read_text(encoding="utf-8"))["figures"])
    return {entry.number: entry for entry in entries}


def write_entries(path: Path, entries: Mapping[int, Entry]) -> None:
    content = {"figures": [entries[number].facts() for number in sorted(entries)]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def text_table(figures: Mapping[int, Figure], entries: Sequence[Entry]) -> str:
    """For the terminal."""
    lines = [HEADINGS, *(_cells(figures[entry.number], entry) for entry in entries)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def document(figures: Mapping[int, Figure], entries: Mapping[int, Entry]) -> str:
    """The whole page."""
    measured = [entries[number] for number in figures if number in entries]
    lines = [HEAD, "| # | what | target | measured | of what the target asks | met at this size |"]
    lines.append("|---|---|---|---|---|---|")
    for entry in measured:
        figure = figures[entry.number]
        number, *rest, is_met = _cells(figure, entry)
        met = is_met if entry.measured.is_met else f"**{is_met}**"
        lines.append(f"| {' | '.join((number, figure.name, *rest, met))} |")
    for entry in measured:
        lines += _section(figures[entry.number], entry)
    return "\n".join(lines) + "\n"


def _cells(figure: Figure, entry: Entry) -> tuple[str, ...]:
    return (
        str(figure.number),
        figure.target,
        entry.measured.value,
        share(figure, entry.amount),
        "yes" if entry.measured.is_met else "no",
    )


def share(figure: Figure, amount: int) -> str:
    """How much of the target's size was measured."""
    if amount >= figure.full:
        return f"all: {amount:,} {figure.unit}"
    return f"{amount:,} of {figure.full:,} {figure.unit}"


def _section(figure: Figure, entry: Entry) -> list[str]:
    on = entry.conditions
    counts = "; ".join(f"{name} {count:,}" for name, count in entry.measured.counts.items())
    lines = [f"\n## {figure.number}. {figure.name}\n", figure.how, "", f"- Counts: {counts}."]
    lines += [f"- Wrong: {fault}." for fault in entry.measured.faults[:20]]
    lines.append(
        f"- Measured on {on['date']} in {entry.seconds:.0f} s, seed {on['seed']}: {on['cores']} "
        f"cores of {on['cpu']}, other work took {on['other_work']} of the machine; "
        f"Linux {on['linux']}, Python {on['python']}, Valkey {on['valkey']}, Redis {on['redis']}, "
        f"PostgreSQL {on['postgresql']}, AI Gateway {on['gateway']}."
    )
    raw = entry.raw
    lines.append(f"- Raw history: `{raw.name}`, {raw.lines:,} lines, SHA-256 `{raw.sha256}`.")
    return lines


def _entry(facts: dict[str, Any]) -> Entry:
    measured = Measured(**facts["measured"] | {"faults": tuple(facts["measured"]["faults"])})
    return Entry(**facts | {"measured": measured, "raw": RawFile(**facts["raw"])})
