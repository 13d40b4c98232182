"""`python -m tests.figures`: measures the ten figures by which the gateway is trusted."""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.cpu import OtherWork
from tests.figures.conditions import conditions
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.measures import FIGURES
from tests.figures.record import Record
from tests.figures.report import Entry, document, read_entries, text_table, write_entries
from tests.running import PROJECT

HISTORIES = Path("var") / "figures"
RESULTS = PROJECT / "bench" / "results" / "figures.json"
PAGE = PROJECT / "docs" / "figures.md"


def main() -> int:
    arguments = _arguments()
    HISTORIES.mkdir(parents=True, exist_ok=True)
    measured = []
    for number in arguments.only or FIGURES:
        measured.append(_measured(FIGURES[number], arguments))
        if not arguments.keep:
            write_entries(RESULTS, read_entries(RESULTS) | {number: measured[-1]})
    sys.stdout.write(f"{text_table(FIGURES, measured)}\nRaw histories: {HISTORIES}\n")
    for entry in measured:
        for fault in entry.measured.faults:
            sys.stdout.write(f"{entry.number}: {fault}\n")
    if arguments.write_docs:
        PAGE.write_text(document(FIGURES, read_entries(RESULTS)), encoding="utf-8")
    return 0 if all(entry.measured.is_met for entry in measured) else 1


def _measured(figure: Figure, arguments: argparse.Namespace) -> Entry:
    """Measure one; whatever goes wrong in it, the others are measured."""
    amount = arguments.amount or figure.amount_of(arguments.scale)
    begun = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    record = Record(HISTORIES / f"{begun}-{figure.number:02}-seed{arguments.seed}.jsonl")
    others, started = OtherWork(), time.monotonic()
    try:
        measured = figure.measure(Trial(amount, arguments.seed, record, _progress(figure, amount)))
    except Exception as error:  # noqa: BLE001 - it is told, and is a figure that was not met
        traceback.print_exc()
        measured = Measured("broke off", is_met=False, counts={}, faults=(_words(error),))
    seconds = time.monotonic() - started
    _tell_end(figure, measured, seconds)
    on = conditions(arguments.seed, others.share())
    return Entry(figure.number, amount, measured, round(seconds, 1), record.finish(), on)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _progress(figure: Figure, amount: int) -> Callable[[int], None]:
    """A bar on a terminal; elsewhere the end of each figure is told, and no more."""

    def has_done(done: int) -> None:
        bar = "#" * (20 * done // amount)
        sys.stderr.write(
            f"\r\033[K[{bar:20}] figure {figure.number}: {done}/{amount} {figure.unit}"
        )
        sys.stderr.flush()

    return has_done if sys.stderr.isatty() else lambda _: None


def _tell_end(figure: Figure, measured: Measured, seconds: float) -> None:
    start = "\r\033[K" if sys.stderr.isatty() else ""
    word = "met" if measured.is_met else "NOT MET"
    sys.stderr.write(f"{start}figure {figure.number}: {measured.value} ({word}), {seconds:.0f} s\n")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.figures", description=__doc__)
    parser.add_argument("--only", nargs="+", type=int, choices=FIGURES, help="numbers of figures")
    parser.add_argument("--scale", choices=["short", "full"], default="short")
    parser.add_argument("--amount", type=int, help="how much instead, in the unit of the figure")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help=f"leave {RESULTS.name} as it is")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
