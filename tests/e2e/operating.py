"""An operator who makes users with keys, within milliseconds."""

import json
import subprocess
import sys
from typing import Self

from tests.e2e.caller import Caller
from tests.running import PROJECT, RunningGateway


class Operator:
    """Gives `flask` commands to the running gateway."""

    def __init__(self, gateway: RunningGateway) -> None:
        self._gateway = gateway
        self._users = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.flask_commands"],
            cwd=PROJECT,
            env=gateway.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def flask(self, *arguments: str) -> str:
        """Give one command; returns its standard output."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        code, output, complaint = json.loads(self._process.stdout.readline())
        assert code == 0, complaint
        return str(output)

    def new_caller(
        self, *key_options: str, daily: str | None = None, monthly: str | None = None
    ) -> Caller:
        """A fresh user with one key; the user's limits are in USD."""
        self._users += 1
        name = f"caller{self._users}"
        self.flask("user", "create", name, "--email", f"{name}@example.com")
        for flag, limit in (("--daily", daily), ("--monthly", monthly)):
            if limit is not None:
                self.flask("user", "limit", name, flag, limit)
        key = self.flask("key", "create", name, *key_options).strip()
        return Caller(self._gateway, key, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)
