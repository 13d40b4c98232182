"""Starts the servers of a run on loopback and ends them again, by pid and never by name."""

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


@contextmanager
def running(
    command: Sequence[str],
    log: Path,
    *,
    is_ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    ready_seconds: float = 60,
) -> Iterator[int]:
    """Run a server while the block runs and give its pid; its output goes to `log`, in whose
    folder it works.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=log.parent, stdout=out, stderr=subprocess.STDOUT, env=env
        )
        try:
            _wait_until_ready(process, log, is_ready, ready_seconds)
            yield process.pid
        finally:
            _end(process)


def _wait_until_ready(
    process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool], limit: float
) -> None:
    deadline = time.monotonic() + limit
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
            raise BenchError(f"{process.args!r} did not get ready: {' | '.join(last)}")
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
