"""What the end-to-end tests share: a running gateway, an operator, and the long stories."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.caller import Caller
from tests.e2e.operating import Operator
from tests.e2e.stories import STORIES, KilledWorker, Restart
from tests.running import RunningGateway


@pytest.fixture(scope="session")
def operator(gateway: RunningGateway) -> Iterator[Operator]:
    """The operator of the gateway that the tests share."""
    with Operator(gateway) as operator:
        yield operator


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
