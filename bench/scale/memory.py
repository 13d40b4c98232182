"""How much memory a large answer takes: in a process of its own, streamed to nowhere.

`python -m bench.scale.memory` reads what to stream as JSON from standard input. The same is first
done on a small part, so that what any answer needs is there before the counting begins.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from io import TextIOBase
from pathlib import Path
from typing import Protocol

from flask import Flask
from flask.cli import ScriptInfo

from bench.errors import BenchError
from bench.gateway import ROOT
from bench.scale.population import FIRST_DAY
from bench.scale.site import application, logged_in

USERS_CSV, LEDGER_CSV = "CSV of all users", "flask ledger export"
LIMIT_SECONDS = 600
FIRST_DAY_TEXT = f"{FIRST_DAY:%Y-%m-%d}"
RESET_PEAK = "5"
"""What `/proc/self/clear_refs` takes for it (proc(5))."""


class Stream(Protocol):
    """Something that writes all it has, or a small part; returns how many lines that were."""

    def __call__(self, *, is_whole: bool) -> int: ...


@dataclass(frozen=True, slots=True)
class Growth:
    """`lines` came out, with the heading; the memory of the process grew by `megabytes`."""

    name: str
    lines: int
    megabytes: float


def growth(name: str, environment: Mapping[str, str]) -> Growth:
    """Measure in a child process; raises `BenchError` when that fails."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale.memory"],
        cwd=ROOT,
        input=json.dumps({"name": name, "environment": dict(environment)}),
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_SECONDS,
    )
    if done.returncode != 0:
        raise BenchError(f"{name}: {done.stderr.strip().splitlines()[-1:]}")
    return Growth(**json.loads(done.stdout))


def _measure(name: str, app: Flask) -> Growth:
    stream = {USERS_CSV: _users_csv, LEDGER_CSV: _ledger_csv}[name](app)
    stream(is_whole=False)
    _forget_peak()
    before = _kilobytes("VmRSS")
    lines = stream(is_whole=True)
    return Growth(name, lines, (_kilobytes("VmHWM") - before) / 1024)


def _users_csv(app: Flask) -> "Stream":
    client = logged_in(app)

    def stream(*, is_whole: bool) -> int:
        question = "" if is_whole else "?q=amelia.stone"
        answer = client.get(f"/admin/ai-analytics/users/export.csv{question}", buffered=False)
        if answer.status_code != 200:
            raise BenchError(f"status {answer.status_code}")
        with answer:
            return sum(part.count(b"\r\n") for part in answer.iter_encoded())

    return stream


def _ledger_csv(app: Flask) -> "Stream":
    def stream(*, is_whole: bool) -> int:
        days = [] if is_whole else ["--from", FIRST_DAY_TEXT, "--to", FIRST_DAY_TEXT]
        command = ["ledger", "export", "--format", "csv", *days]
        counting = _Counting()
        with redirect_stdout(counting):
            app.cli.main(command, obj=ScriptInfo(create_app=lambda: app), standalone_mode=False)
        return counting.lines

    return stream


class _Counting(TextIOBase):
    """Where the lines of a command go."""

    lines = 0

    def write(self, text: str) -> int:
        self.lines += text.count("\n")
        return len(text)


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")


def _kilobytes(name: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump(asdict(_measure(asked["name"], application(asked["environment"]))), sys.stdout)
