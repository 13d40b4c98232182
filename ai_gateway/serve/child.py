"""One child process: in a session of its own, and gone soon after the supervisor is."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from ai_gateway.serve.programs import Program

PR_SET_PDEATHSIG = 1
LONGEST_PAUSE_SECONDS = 30.0
PROVEN_AFTER_SECONDS = 60.0
"""A child that ran this long starts again after the shortest pause."""


class Child:
    """A program that runs, and when it may be started again after it ended."""

    def __init__(self, program: Program, *, lock: int) -> None:
        self.program = program
        self.restart_at: float | None = None
        self._lock = lock
        self._pause_seconds = 1.0
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0

    def start(self, stdout: IO[bytes] | None = None, stderr: IO[bytes] | None = None) -> None:
        """Start the program; what it writes goes to our stderr where nothing else is said."""
        self.restart_at = None
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - commands are our own
            self.program.command,
            cwd=self.program.folder,
            env=self.program.environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout or sys.stderr.fileno(),
            stderr=stderr,
            start_new_session=True,
            pass_fds=(self._lock,),
            preexec_fn=_tie_to(os.getpid(), self.program.dies_by),  # noqa: PLW1509 - no threads here
        )

    def exit_code(self) -> int | None:
        """Return the code as a shell would, or `None` while the program runs."""
        code = self._process.poll() if self._process else None
        return 128 - code if code is not None and code < 0 else code

    def is_gone(self) -> bool:
        """Whether the program and all that it started have ended."""
        if self._process is None:
            return True
        if self._process.poll() is None:
            return False
        group = self._process.pid
        with suppress(ChildProcessError):
            # As process 1 of a container we inherit the orphans of a program that was killed.
            while os.waitpid(-group, os.WNOHANG)[0]:
                pass
        return not self._signal(0)

    def terminate(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def plan_restart(self) -> float:
        """Set the moment of the next start and return the pause before it, in seconds."""
        now = time.monotonic()
        if now - self._started_at >= PROVEN_AFTER_SECONDS:
            self._pause_seconds = 1.0
        pause = self._pause_seconds
        self._pause_seconds = min(pause * 2, LONGEST_PAUSE_SECONDS)
        self.restart_at = now + pause
        return pause

    def _signal(self, number: int) -> bool:
        """Send a signal to the program's whole group; false where nothing is left of it."""
        if self._process is None:
            return False
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True


def _tie_to(parent: int, dies_by: signal.Signals) -> Callable[[], None] | None:
    """Return what makes a new process end when `parent` is killed. macOS has no such thing."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, int(dies_by), 0, 0, 0)
        if os.getppid() != parent:  # it was killed before the line above
            os._exit(1)

    return tie
