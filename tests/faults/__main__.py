"""`python -m tests.faults`: hurts a running gateway in every way that has a scenario."""

import argparse
import sys
import time
import traceback
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from tests.faults.history import History
from tests.faults.matrix import number_of
from tests.faults.rig import Choice, Rig, started_rig
from tests.faults.scenario import Scenario
from tests.faults.scenarios import SCENARIOS

Verdict = Literal["ok", "FAILED", "-"]
HISTORIES = Path("var") / "faults"


class Rigs:
    """One rig for all scenarios, and a fresh one after a failure and for one that turns clocks."""

    def __init__(self, choice: Choice, history: History) -> None:
        self._choice = choice
        self._history = history
        self._stack = ExitStack()
        self._rig: Rig | None = None

    def get(self, *, turns_clocks: bool) -> Rig:
        if turns_clocks:
            self.end()
        if self._rig is None:
            choice = replace(self._choice, turns_clocks=turns_clocks)
            self._rig = self._stack.enter_context(started_rig(choice, self._history))
        return self._rig

    def end(self) -> None:
        self._rig = None
        self._stack.close()


def main() -> int:
    arguments = _arguments()
    HISTORIES.mkdir(parents=True, exist_ok=True)
    history = History(HISTORIES / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{arguments.seed}.jsonl")
    choice = Choice(arguments.store, arguments.sql, arguments.seed)
    chosen = [one for one in _in_order() if not arguments.only or one.row in arguments.only]
    rigs = Rigs(choice, history)
    verdicts: Counter[Verdict] = Counter()
    try:
        for number, scenario in enumerate(chosen):
            _progress(number, len(chosen), scenario)
            verdicts[_told(scenario, rigs, choice)] += 1
    finally:
        rigs.end()
        history.close()
    sys.stdout.write(
        f"{verdicts['ok']} as demanded, {verdicts['FAILED']} not, {verdicts['-']} left out;"
        f" {choice.store}, {choice.sql}, seed {choice.seed}.\nRaw history: {history.path}\n"
    )
    return 1 if verdicts["FAILED"] or not verdicts["ok"] else 0


def _told(scenario: Scenario, rigs: Rigs, choice: Choice) -> Verdict:
    """Run one and print its line."""
    if (lack := scenario.lacks(choice)) is not None:
        return _line(scenario, "-", 0, lack)
    started = time.monotonic()
    try:
        seen = scenario.run(rigs.get(turns_clocks=scenario.turns_clocks))
    except Exception as error:  # noqa: BLE001 - whatever it was, the others are run
        told = f"{type(error).__name__}: {error}\n{_where(error)}"
        rigs.end()
        return _line(scenario, "FAILED", time.monotonic() - started, told)
    if scenario.turns_clocks:
        rigs.end()
    return _line(scenario, "ok", time.monotonic() - started, seen)


def _where(error: Exception) -> str:
    """The lines that led there, and what their names stood for at the last of them."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    for frame in told.stack[:-1]:
        frame.locals = None
    return "\n".join(f"    {line}"[:500] for line in "".join(told.format()).splitlines())


def _line(scenario: Scenario, verdict: Verdict, seconds: float, seen: str) -> Verdict:
    name = scenario.name.replace("_", " ")
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
        sys.stderr.flush()
    sys.stdout.write(f"{scenario.row:4} {name:34} {verdict:6} {seconds:5.1f} s  {seen}\n")
    sys.stdout.flush()
    return verdict


def _progress(number: int, total: int, scenario: Scenario) -> None:
    if sys.stderr.isatty():
        bar = "#" * (20 * number // total)
        sys.stderr.write(f"\r\033[K[{bar:20}] {number}/{total} {scenario.row} {scenario.name}\r")
        sys.stderr.flush()


def _in_order() -> list[Scenario]:
    return sorted(SCENARIOS.values(), key=lambda one: number_of(one.row))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="F11", choices=SCENARIOS, help="rows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", choices=["valkey", "redis", "cluster"], default="valkey")
    parser.add_argument("--sql", choices=["sqlite", "postgresql"], default="sqlite")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
