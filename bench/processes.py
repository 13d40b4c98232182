"""Starts the servers of a run on loopback and ends them again, by pid and never by name."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError

END_SECONDS = 90


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def clean_environment(home: Path, **variables: str) -> dict[str, str]:
    """Give a program what it is told and where programs are, and nothing of whoever runs this."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home)} | variables


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    *,
    is_ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    ready_seconds: float = 60,
) -> Iterator[int]:
    """Run a server in a process group of its own while the block runs, and give its pid.

    Its output goes to `log`, in whose folder it works.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
            process_group=0,
        )
        try:
            # Its name alone: the folders of this machine are nobody's concern.
            program = Path(command[0]).name
            _wait_until_ready(process, program, log, is_ready, ready_seconds)
            yield process.pid
        finally:
            _end(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes],
    program: str,
    log: Path,
    is_ready: Callable[[], bool],
    limit: float,
) -> None:
    started = time.monotonic()
    deadline = started + limit
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            waited = f"was not ready after {time.monotonic() - started:.0f} s"
            raise BenchError(f"{program} {waited}: {' | '.join(last) or 'it said nothing'}")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # what it started would stay behind
        process.wait()
