"""How far the demo is: on a terminal, and where there is none."""

import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ai_gateway.cli.demo.progress import LINE_SECONDS, told
from tests.running import wait_for

PROJECT = Path(__file__).resolve().parents[2]
SHOWS_CURSOR = "\x1b[?25h"
COUNTS = """
import sys
from ai_gateway.cli.demo.progress import progress
with progress(range(1000), "Making") as items:
    for item in items:
        if item == 500 and len(sys.argv) > 1:
            print("half", flush=True)
            sys.stdin.read()
"""


@contextmanager
def on_a_terminal(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process whose standard error is a terminal, and our end of that terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTS, *arguments],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    with process:
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read_to_end(terminal: int) -> str:
    said = b""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:  # nobody has the other end any more
            return said.decode()


def test_bar_is_drawn_on_a_terminal() -> None:
    with on_a_terminal() as (process, terminal):
        said = read_to_end(terminal)
        assert process.wait() == 0
    assert "Making" in said
    assert "500/1000" in said
    assert "1000/1000" in said
    assert said.count("\r") <= 250, "not drawn anew for each step"


def test_terminal_has_its_cursor_back_when_it_is_stopped() -> None:
    with on_a_terminal("stop") as (process, terminal):
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGTERM)
        said = read_to_end(terminal)
        assert wait_for(lambda: process.poll() is not None, "it has ended")
        assert process.returncode == 128 + signal.SIGTERM
    assert said.rstrip().endswith(SHOWS_CURSOR)


def test_elsewhere_a_line_comes_now_and_then_and_at_the_end() -> None:
    file, ticks = io.StringIO(), count()
    handed_out = list(told(range(40), "Making", file, lambda: float(next(ticks))))
    assert handed_out == list(range(40))
    lines = file.getvalue().splitlines()
    assert lines[-1] == "ai-gateway: Making: 100 % (40 of 40)"
    assert 40 / (LINE_SECONDS + 2) <= len(lines) <= 40 / LINE_SECONDS + 1
    assert lines[0].startswith("ai-gateway: Making: ")


def test_nothing_to_do_is_done_at_once() -> None:
    file = io.StringIO()
    assert list(told([], "Making", file)) == []
    assert file.getvalue() == "ai-gateway: Making: 100 % (0 of 0)\n"
