"""The points by which the staff pages are accepted, and the tests that show each of them.

`python -m tests.acceptance > docs/acceptance.md` writes the page from `acceptance.toml`.
"""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

POINTS = Path(__file__).with_name("acceptance.toml")

HEAD = """# By what the staff pages are accepted

Generated from `tests/acceptance.toml`; a test compares, and looks that every named test is there \
and is not left out. Each number is a point of the design. What is done otherwise than it asks is \
said in italics."""


@dataclass(frozen=True, slots=True)
class Point:
    """What has to hold, and the tests that show it, each as file::function."""

    part: str
    number: int
    words: str
    tests: tuple[str, ...]
    remark: str


def points() -> list[Point]:
    """In the order of the file."""
    return [
        Point(
            part["name"],
            point["number"],
            point["words"],
            tuple(point.get("tests", ())),
            point.get("remark", ""),
        )
        for part in tomllib.loads(POINTS.read_text())["part"]
        for point in part["point"]
    ]


def document() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_lines()])


def _lines() -> Iterator[str]:
    part = ""
    for point in points():
        if point.part != part:
            part = point.part
            yield from (f"\n## {part}\n", "| # | What holds | Shown by |", "|---|---|---|")
        shown = "<br>".join(f"`{test}`" for test in point.tests) or "–"
        words = f"{point.words} *{point.remark}*" if point.remark else point.words
        yield f"| {point.number} | {words} | {shown} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(document())
