"""The figures as a table for the terminal, as Markdown for the docs, and as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.figures import Figures, ratio

BEGIN = "<!-- figures: written by python -m bench --write-docs -->"
END = "<!-- end of figures -->"
ROLES = ("worker", "valkey", "bookkeeper", "other")
HEADINGS = (
    "connections",
    "server",
    *ROLES,
    "all, µs CPU a call",
    "calls/s",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "times nginx",
)


def rows(figures: Sequence[Figures]) -> list[list[str]]:
    """Give one row for each figure, with its ratio to nginx under the same load."""
    plain = {one.connections: one for one in figures if one.server == "nginx"}
    return [
        [
            str(one.connections),
            one.server,
            *(f"{one.cpu_us[role]:.0f}" if role in one.cpu_us else "" for role in ROLES),
            f"{one.cpu_us_sum:.0f}",
            f"{one.calls_per_second:.0f}",
            f"{one.p50_ms:.2f}",
            f"{one.p95_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{ratio(one, plain[one.connections]):.1f}" if one.connections in plain else "",
        ]
        for one in figures
    ]


def text_table(figures: Sequence[Figures]) -> str:
    lines = [list(HEADINGS), *rows(figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def markdown(figures: Sequence[Figures], machine: dict[str, str]) -> str:
    where = (
        f"Measured on {machine['date']}: {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']}, Linux {machine['linux']}; other work took "
        f"{machine['other_work']} of the machine. Medians."
    )
    lines = [
        where,
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|" + "---|" * len(HEADINGS),
        *("| " + " | ".join(row) + " |" for row in rows(figures)),
    ]
    return "\n".join(lines)


def machine(other_work: float) -> dict[str, str]:
    """Say on what was measured, without naming the host; `other_work` is a share, 0 to 1."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "other_work": f"{other_work:.0%}",
        "linux": ".".join(platform.release().split(".")[:2]),
    }


def write_json(
    path: Path, machine: dict[str, str], rounds: Sequence[Figures], medians: Sequence[Figures]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": machine,
        "medians": [asdict(one) for one in medians],
        "rounds": [asdict(one) for one in rounds],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_docs(path: Path, figures: str) -> None:
    """Put the figures between the two marks of the page."""
    path.write_text(with_figures(path.read_text(encoding="utf-8"), figures), encoding="utf-8")


def with_figures(page: str, figures: str) -> str:
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BenchError("the page of benchmarks has lost its marks for the figures")
    return f"{head}{BEGIN}\n\n{figures}\n\n{END}{tail}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
