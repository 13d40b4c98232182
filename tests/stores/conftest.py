"""The databases and the Redis servers that we serve, each real."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ai_gateway.stores.redis_client import connect
from tests.engines import opened_engine
from tests.money import Invariants, MoneyStore
from tests.postgresql import running_postgresql
from tests.redis_servers import RedisServer, running_redis
from tests.sql_database import opened, sqlite_url
from tests.tools import has_programs


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    if not has_programs("initdb", "pg_ctl"):
        pytest.skip("PostgreSQL is not here")
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def sql_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Our tables on each kind of database; gives its kind."""
    is_sqlite = request.param == "sqlite"
    with opened(sqlite_url(tmp_path) if is_sqlite else request.getfixturevalue("postgresql_url")):
        yield request.param


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An engine as the bookkeeper has it, on empty tables of each kind of database."""
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path) if is_sqlite else request.getfixturevalue("postgresql_url")
    with opened_engine(url) as opened_one:
        yield opened_one


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[RedisServer]:
    with running_redis("valkey") as server:
        yield server


@pytest.fixture(scope="session")
def debian_server() -> Iterator[RedisServer]:
    with running_redis("redis") as server:
        yield server


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.redis)])
def store(request: pytest.FixtureRequest) -> Iterator[MoneyStore]:
    """An empty Redis of each kind, with one key published and counters that can be trusted."""
    name = "valkey_server" if request.param == "valkey" else "debian_server"
    yield from _emptied(request.getfixturevalue(name))


@pytest.fixture
def valkey(valkey_server: RedisServer) -> Iterator[MoneyStore]:
    """The embedded Valkey alone, for what does not depend on the server."""
    yield from _emptied(valkey_server)


def _emptied(server: RedisServer) -> Iterator[MoneyStore]:
    with connect(server.url) as client:
        client.flushall()
        made = MoneyStore(client)
        made.open()
        yield made


@pytest.fixture
def invariants(store: MoneyStore) -> Iterator[Invariants]:
    """Checked by the test after its steps, and once more at its end."""
    checker = Invariants(store)
    yield checker
    checker.check()
