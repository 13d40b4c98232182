"""A whole gateway as a user starts it: `python app.py` in a data folder of its own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import redis

from ai_gateway.stores import embedded
from simulator.testing import RunningSimulator
from tests.serve.gateway_process import free_port

PROJECT = Path(__file__).resolve().parent.parent
Found = TypeVar("Found")

START_SECONDS = 60.0
WAIT_SECONDS = 60.0
ENVIRONMENT = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_START")


def wait_for(look: Callable[[], Found], what: str, seconds: float = WAIT_SECONDS) -> Found:
    """Wait until `look` finds something, with a deadline."""
    give_up_at = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"in vain waited until {what}"
        time.sleep(0.02)
    return found


class Commands:
    """Runs `flask` commands one after another in one process: each of its own takes a second."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flask_commands"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: tuple[str, ...]) -> str:
        """Run one; returns its standard output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        code, output, complaint = json.loads(self._process.stdout.readline())
        assert code == 0, complaint
        return str(output)

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=WAIT_SECONDS)


class RunningGateway:
    """Supervisor, workers, bookkeeper, embedded Valkey and simulator."""

    def __init__(self, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.data_dir = folder / "data"
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._stdout = folder / "stdout.log"
        self._stderr = folder / "stderr.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._commands: Commands | None = None
        self._numbers = count(1)
        self.environment = {
            **{name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            "PYTHON_DOTENV_DISABLED": "1",
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            "AI_GATEWAY_DATA_DIR": str(self.data_dir),
            **(variables or {}),
        }

    def start(self) -> None:
        """Start and wait for the welcome."""
        with self._stdout.open("ab") as out, self._stderr.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "app.py"],
                cwd=PROJECT,
                env=self.environment,
                stdout=out,
                stderr=err,
            )
        before = self.said().count("Ctrl-C")
        wait_for(
            lambda: self.said().count("Ctrl-C") > before or self._has_ended(),
            "the gateway is ready",
            START_SECONDS,
        )
        assert not self._has_ended(), self.logged()[-3000:]

    def stop(self) -> int:
        """End it as a user does, and wait."""
        self._end_commands()
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(WAIT_SECONDS)

    def end(self) -> None:
        """End it for certain, after a test that failed."""
        self._end_commands()
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def said(self) -> str:
        return self._stdout.read_text() if self._stdout.exists() else ""

    def logged(self) -> str:
        return self._stderr.read_text() if self._stderr.exists() else ""

    def flask(self, *arguments: str) -> str:
        """Give a command; returns its standard output."""
        if self._commands is None:
            self._commands = Commands(self.environment)
        return self._commands.run(arguments)

    def make_user(self, *options: str) -> str:
        """Make a user with a name of its own; returns the name."""
        name = f"user{next(self._numbers)}"
        self.flask("user", "create", name, "--email", f"{name}@example.com", *options)
        return name

    def make_key(self, *options: str, daily: str | None = None, monthly: str | None = None) -> str:
        """The text of a key of a fresh user, whose limits may be given in USD."""
        name = self.make_user()
        limits = [("--daily", daily), ("--monthly", monthly)]
        chosen = [part for flag, value in limits if value for part in (flag, value)]
        if chosen:
            self.flask("user", "limit", name, *chosen)
        return self.flask("key", "create", name, *options).strip()

    def now(self) -> datetime:
        """The present by the gateway's own clock."""
        return datetime.now(UTC)

    @property
    def simulator(self) -> RunningSimulator:
        port = int((embedded.run_folder(self.data_dir) / "simulator.port").read_text())
        return RunningSimulator("127.0.0.1", port, 0)

    def store(self) -> "redis.Redis":
        return redis.Redis.from_url(embedded.redis_url(self.data_dir), decode_responses=True)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Read the embedded database."""
        path = embedded.database_path(self.data_dir)
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def ledger(self, key: str) -> list[dict[str, Any]]:
        """The ledger entries of a key."""
        return self.rows(
            "SELECT * FROM ledger_entry WHERE key_id = ? ORDER BY id", key.split("_")[1]
        )

    def booked(self, key: str, calls: int) -> list[dict[str, Any]]:
        """Wait until so many calls of a key are in the ledger; returns their entries."""
        wait_for(
            lambda: len({row["request_id"] for row in self.ledger(key)}) >= calls,
            f"{calls} calls are booked",
        )
        return self.ledger(key)

    def _end_commands(self) -> None:
        if self._commands is not None:
            self._commands.end()
            self._commands = None

    def _has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None
