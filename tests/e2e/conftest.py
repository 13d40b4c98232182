"""What the end-to-end tests share: an operator who makes users with keys, within milliseconds."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.caller import Caller
from tests.e2e.stories import STORIES, KilledWorker, Restart
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

    def stop(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="session")
def operator(gateway: RunningGateway) -> Iterator[Operator]:
    """The operator of the gateway that the tests share."""
    operator = Operator(gateway)
    yield operator
    operator.stop()


@pytest.fixture
def caller(operator: Operator) -> Caller:
    """A fresh user of the gateway that the tests share, with the usual limits."""
    return operator.new_caller()


@pytest.fixture(scope="session")
def stories(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Any]]]:
    """The long stories that the tests of this run look at, all begun at once."""
    wanted = {name for item in request.session.items for name in getattr(item, "fixturenames", ())}
    with ThreadPoolExecutor(len(STORIES)) as pool:
        yield {
            name: pool.submit(story, tmp_path_factory.mktemp(name))
            for name, story in STORIES.items()
            if name in wanted
        }


@pytest.fixture(scope="session")
def killed_worker(stories: dict[str, Future[KilledWorker]]) -> KilledWorker:
    return stories["killed_worker"].result()


@pytest.fixture(scope="session")
def restart(stories: dict[str, Future[Restart]]) -> Restart:
    return stories["restart"].result()
