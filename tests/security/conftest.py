"""A whole application, its Valkey and its simulator, for the attacks on it."""

from collections.abc import Iterator

import pytest

from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import RedisServer, running_redis


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture(scope="module")
def app(server: RedisServer, simulator: RunningSimulator) -> Iterator[GatewayApp]:
    with opened_app(server, simulator) as opened:
        yield opened
