"""A Redis that throws keys away when it is full is no place for money (money.md F24)."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.redis_facts import RedisProbe
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.engines import opened_engine
from tests.money import NOON, UTC_ZONE
from tests.sql_database import sqlite_url


@pytest.fixture
def bookkeeper(redis_client: redis.Redis, tmp_path: Path) -> Iterator[Bookkeeper]:
    with opened_engine(sqlite_url(tmp_path)) as engine:
        keys = KeyAdmin(
            KeyTable(engine, {}),
            KeyCopies(redis_client),
            pepper=b"pepper",
            clock=lambda: NOON,
            random_bytes=bytes,
        )
        stores = BookkeeperStores(
            Outbox(redis_client),
            PublishedState(redis_client),
            Ledger(engine, UTC_ZONE),
            policy=RedisProbe(redis_client).policy,
        )
        yield Bookkeeper(stores, keys, clock=lambda: NOON, zone=UTC_ZONE)


@pytest.fixture
def evicting(redis_client: redis.Redis) -> Iterator[None]:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    yield
    redis_client.config_set("maxmemory-policy", "noeviction")


def test_a_safe_policy_changes_nothing(bookkeeper: Bookkeeper) -> None:
    assert bookkeeper.restore()
    assert bookkeeper.watch_policy() is False
    assert bookkeeper.unsafe_policy() is None
    assert bookkeeper.is_trusted()


def test_calls_stop_while_the_policy_is_unsafe_and_go_on_afterwards(
    bookkeeper: Bookkeeper, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    assert bookkeeper.restore()
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert bookkeeper.watch_policy()
        assert bookkeeper.watch_policy()
        assert not Meter(redis_client).is_ready()
        # Nobody restores what may be thrown away at any moment.
        assert bookkeeper.restore() is False
        assert not Meter(redis_client).is_ready()
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    told = [record for record in caplog.records if record.message == "redis_may_lose_counters"]
    assert [(record.levelno, record.__dict__["policy"]) for record in told] == [
        (logging.ERROR, "allkeys-lru")
    ]
    assert bookkeeper.watch_policy() is False
    assert bookkeeper.restore()
    assert Meter(redis_client).is_ready()


def test_an_unsafe_policy_is_named(bookkeeper: Bookkeeper, evicting: None) -> None:
    assert bookkeeper.unsafe_policy() == "allkeys-lru"
