"""A real Valkey for the services, emptied for each test, and the services on it."""

from collections.abc import Callable, Iterator

import pytest
import redis

from ai_gateway.stores.redis_client import connect
from tests.redis_servers import RedisServer, running_redis
from tests.services.workbench import Options, Workbench


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with running_redis("valkey") as server:
        yield server


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    with connect(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def make_bench(redis_client: redis.Redis) -> Iterator[Callable[..., Workbench]]:
    """Makes services that are otherwise than usual."""
    made = []

    def make(options: Options | None = None) -> Workbench:
        bench = Workbench(redis_client, options)
        bench.open()
        made.append(bench)
        return bench

    yield make
    for bench in made:
        assert len(bench.open_calls) == 0
        bench.open_calls._stop.set()


@pytest.fixture
def bench(make_bench: Callable[..., Workbench]) -> Workbench:
    return make_bench()
