"""How many calls a budget refuses that there would have been money for in the end.

A hold is the worst case of a call, so that calls at once are refused earlier than their costs would
ask for. Many calls go out at once, by one user whose limit affords a tenth of them.
`python -m tests.e2e.false_refusals` prints the figures, and writes them into the docs if asked.
"""

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.caller import Answer, Caller, usd
from tests.e2e.operating import Operator
from tests.running import PROJECT, RunningGateway

ASKED = 500
AFFORDED = 50
PROMPT, SAMPLE = "[[delay=1500]] [[tokens=90]]", "[[delay=0001]] [[tokens=90]]"
"""Of one length, so that they cost the same."""

CAPS: dict[str, dict[str, int]] = {"capped": {"max_tokens": 100}, "uncapped": {}}
"""A client that names its cap holds little more than what it needs; another holds all it may."""

PAGE = PROJECT / "docs" / "benchmarks.md"
BEGIN = "<!-- false refusals: written by make refusals ARGS=--write-docs -->"
END = "<!-- end of false refusals -->"
HEADINGS = ("calls", "asked", "limit, USD", "answered", "refused", "spent, USD", "false refusals")


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of calls that were asked at once; amounts in nano-USD."""

    kind: str
    limit: int
    cost_of_one: int
    answers: tuple[Answer, ...]
    spent: int

    def count(self, status: int) -> int:
        return Counter(answer.status for answer in self.answers)[status]

    @property
    def false_refusals(self) -> int:
        """Refused calls for which what is left of the limit would have sufficed."""
        return min(self.count(429), (self.limit - self.spent) // self.cost_of_one)

    def row(self) -> tuple[str, ...]:
        refused = self.count(429)
        share = (
            f"{self.false_refusals} ({self.false_refusals / max(1, refused):.0%} of the refused)"
        )
        return (
            self.kind,
            str(len(self.answers)),
            usd(self.limit),
            str(self.count(200)),
            str(refused),
            usd(self.spent),
            share,
        )


def measure(operator: Operator, kind: str) -> tuple[Caller, Figures]:
    """Let one fresh user ask for everything at once; returns when nothing is held any more."""
    cost = _cost_of_one(operator)
    limit = AFFORDED * cost
    caller = operator.new_caller(daily=usd(limit))
    with ThreadPoolExecutor(ASKED) as pool:
        calls = [pool.submit(caller.ask, "openai", PROMPT, **CAPS[kind]) for _ in range(ASKED)]
        answers = tuple(call.result() for call in calls)
    answered = sum(answer.status == 200 for answer in answers)
    entries = caller.booked_once(answered)
    spent = sum(entry["cost_nano_usd"] for entry in entries)
    return caller, Figures(kind, limit, cost, answers, spent)


def _cost_of_one(operator: Operator) -> int:
    caller = operator.new_caller()
    answer = caller.ask("openai", SAMPLE, **CAPS["capped"])
    assert answer.status == 200, answer
    (entry,) = caller.booked_once(1)
    return int(entry["cost_nano_usd"])


def table(figures: list[Figures]) -> str:
    """The figures as Markdown."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *(one.row() for one in figures)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def with_table(page: str, text: str) -> str:
    """The page with the table between its marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has lost its marks for false refusals")
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.false_refusals")
    parser.add_argument("--write-docs", action="store_true", help=f"write {PAGE.name} too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="agw") as folder:
        gateway = RunningGateway(Path(folder))
        try:
            gateway.start()
            operator = Operator(gateway)
            figures = [measure(operator, kind)[1] for kind in CAPS]
            gateway.flask("ledger", "verify")
        finally:
            gateway.end()
    text = f"Measured on {datetime.now(UTC).date()}.\n\n{table(figures)}"
    sys.stdout.write(f"{text}\n")
    if arguments.write_docs:
        PAGE.write_text(with_table(PAGE.read_text(), text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
