"""A whole gateway around the stand-in application, with a data folder of its own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import redis

from ai_gateway.stores.embedded import redis_url, socket_path

PROJECT = Path(__file__).resolve().parents[2]
STANDIN = Path(__file__).parent / "standin"
SERVE = """
import sys
from pathlib import Path
from ai_gateway.serve import main
sys.exit(main(Path(sys.argv[1]), ready_within_seconds=float(sys.argv[2])))
"""
LONGEST_SECONDS = 40.0
TWO_WORKERS = {"WEB_CONCURRENCY": "2"}


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Wait for a condition, with a deadline."""
    give_up_at = time.monotonic() + LONGEST_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at, f"in vain waited until {what}"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Gateway:
    """One supervisor with its children. `start` it, look at it, `stop` it."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder / "data"
        self.log = folder / "standin.log"
        self.stderr = folder / "stderr.log"
        self.stdout = folder / "stdout.log"
        self.port = free_port()
        self.ready_within_seconds = 30.0
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "PYTHON_DOTENV_DISABLED": "1",
            "PYTHONWARNINGS": "error::DeprecationWarning",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "1",
            "AI_GATEWAY_DATA_DIR": str(self.data_dir),
            "AI_GATEWAY_SIMULATOR": "off",
            "STANDIN_LOG": str(self.log),
        }

    def launch(self, variables: Mapping[str, str] | None = None) -> None:
        """Start the supervisor and wait for nothing."""
        command = [sys.executable, "-c", SERVE, str(STANDIN), str(self.ready_within_seconds)]
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=PROJECT,
                env={**self.environment, **(variables or {})},
                stdout=stdout,
                stderr=stderr,
            )

    def start(self, variables: Mapping[str, str] | None = None) -> str:
        """Start, wait for the welcome, and return it."""
        self.launch(variables)
        wait_until(lambda: "Ctrl-C" in self.stdout.read_text() or self.has_ended(), "it is ready")
        assert "Ctrl-C" in self.stdout.read_text(), self.stderr.read_text()
        return self.stdout.read_text()

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def send(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(LONGEST_SECONDS)

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def is_ready(self) -> bool:
        try:
            return self.get("/health/ready") == "ready"
        except OSError:
            return False

    def slots(self) -> dict[int, int]:
        """The slots of the workers that answer, with the number of each one's process."""
        found: dict[int, int] = {}
        for _ in range(20):
            with suppress(OSError):  # the worker that had the connection was killed
                slot, process = self.get("/slot").split()
                found[int(slot)] = int(process)
        return found

    def answering(self, workers: int) -> dict[int, int]:
        """Likewise, once so many answer: on a busy machine one may take a handful of requests."""
        found: dict[int, int] = {}

        def all_answer() -> bool:
            found.update(self.slots())
            return len(found) >= workers

        wait_until(all_answer, f"{workers} workers answer")
        return found

    def store(self) -> "redis.Redis":
        return redis.Redis.from_url(redis_url(self.data_dir), decode_responses=True)

    def notes(self) -> list[str]:
        """What the stand-in did, line by line."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    def said(self) -> list[str]:
        """The lines on stderr, of the supervisor and of all that inherit it."""
        return self.stderr.read_text().splitlines()

    def processes(self) -> dict[int, str]:
        """Every living process of this gateway by its number: each holds the lock's file."""
        return {
            int(folder.name): (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            for folder in Path("/proc").iterdir()
            if folder.name.isdigit() and self._holds_lock(folder)
        }

    def process_of(self, *words: str) -> int:
        """The first process whose command has one of these words."""
        processes = self.processes().items()
        return min(number for number, text in processes if any(word in text for word in words))

    def _holds_lock(self, folder: Path) -> bool:
        try:
            files = [link.readlink() for link in (folder / "fd").iterdir()]
        except OSError:
            return False
        return self.data_dir / "gateway.lock" in files

    def end(self) -> None:
        """Leave nothing running, whatever the test did."""
        for number in self.processes():
            os.kill(number, signal.SIGKILL)
        if self.process is not None:
            self.process.wait(LONGEST_SECONDS)
        wait_until(lambda: not self.processes(), "the children are gone")
        if not socket_path(self.data_dir).is_relative_to(self.data_dir):
            shutil.rmtree(socket_path(self.data_dir).parent, ignore_errors=True)
