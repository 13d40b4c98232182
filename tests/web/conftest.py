"""The staff pages and the gateway as their tests see them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import RedisServer, running_redis
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import StaffApp, build


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture(scope="module")
def shared_app(server: RedisServer, simulator: RunningSimulator) -> Iterator[GatewayApp]:
    with opened_app(server, simulator) as opened:
        yield opened


@pytest.fixture
def staff_app(tmp_path: Path) -> Iterator[StaffApp]:
    """The application, and around the test a context in which it can seed and read tables."""
    url = sqlite_url(tmp_path)
    with opened(url):
        made = build(url)
        yield made
        made.engine.dispose()
