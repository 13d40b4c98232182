"""A run as a table for the terminal, as Markdown for the docs, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.scale.bounds import Compared
from bench.scale.memory import Growth

BEGIN = "<!-- scale: written by python -m bench.scale --write-docs -->"
END = "<!-- end of scale -->"
SLOWEST_SHOWN = 5
HEADINGS = ("page", "asked", "statements", "KB", "short, ms", "long, ms", "times", "statement, ms")


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on one kind of database."""

    database: str
    compared: tuple[Compared, ...]
    memory: tuple[Growth, ...]


def groups(compared: Iterable[Compared]) -> dict[str, list[Compared]]:
    """The addresses of each kind of page, in the order in which they were asked for."""
    found: dict[str, list[Compared]] = {}
    for one in compared:
        found.setdefault(one.long.address.group, []).append(one)
    return found


def worst_row(name: str, ones: Sequence[Compared]) -> list[str]:
    """The dearest of each figure; the times are those of one address, the dearest."""
    dearest = max(ones, key=lambda one: one.long.cpu_ms)
    return [
        name,
        str(len(ones)),
        str(max(one.long.statements for one in ones)),
        f"{max(one.long.kilobytes for one in ones):.0f}",
        f"{dearest.short.cpu_ms:.1f}",
        f"{dearest.long.cpu_ms:.1f}",
        f"{max(one.times for one in ones):.1f}",
        f"{max(one.long.slowest_ms for one in ones):.1f}",
    ]


def text_table(result: Result) -> str:
    """Every address, and below it the memory of the exports."""
    lines = [list(HEADINGS)]
    lines += [worst_row(one.long.address.path[:90], [one]) for one in result.compared]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    table = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([result.database, *table, *map(_memory_line, result.memory)])


def markdown(results: Sequence[Result], machine: dict[str, str], size: str) -> str:
    where = (
        f"Measured on {machine['date']}: {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']}, Linux {machine['linux']}; {size}."
    )
    lines = [where]
    for result in results:
        lines += ["", f"**{result.database}**", ""]
        lines += ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
        for name, ones in groups(result.compared).items():
            lines.append("| " + " | ".join(worst_row(name, ones)) + " |")
        lines += ["", *(f"- {_memory_line(one)}" for one in result.memory)]
    return "\n".join(lines)


def write_json(path: Path, results: Sequence[Result], machine: dict[str, str]) -> None:
    content = {
        "machine": machine,
        "results": [
            {
                "database": result.database,
                "pages": [_figures(one) for one in result.compared],
                "memory": [asdict(one) for one in result.memory],
                "slowest_statements": _slowest(result.compared),
            }
            for result in results
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _figures(one: Compared) -> dict[str, str | float]:
    short, long = one.short, one.long
    return {
        "path": long.address.path,
        "statements": long.statements,
        "kilobytes": long.kilobytes,
        "short_cpu_ms": round(short.cpu_ms, 2),
        "long_cpu_ms": round(long.cpu_ms, 2),
        "short_wall_ms": round(short.wall_ms, 2),
        "long_wall_ms": round(long.wall_ms, 2),
        "slowest_statement_ms": round(long.slowest_ms, 2),
    }


def _slowest(compared: Sequence[Compared]) -> dict[str, float]:
    """The slowest statements by their texts."""
    times = {one.long.slowest: round(one.long.slowest_ms, 2) for one in compared}
    return dict(sorted(times.items(), key=lambda pair: -pair[1])[:SLOWEST_SHOWN])


def with_figures(page: str, figures: str) -> str:
    """The page with other figures between its marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BenchError("the page of benchmarks has lost its marks for the scale")
    return f"{head}{BEGIN}\n\n{figures}\n\n{END}{tail}"


def _memory_line(one: Growth) -> str:
    return f"{one.name}: {one.lines:,} lines, memory grows by {one.megabytes:.1f} MB"
