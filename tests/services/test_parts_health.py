"""The health of each part, from facts to a word."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai_gateway.domain.money import ZERO
from ai_gateway.services.health import LiveState
from ai_gateway.services.parts_health import (
    PartsHealth,
    PartsHealthReport,
    PartState,
    ProviderHealth,
)
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.redis_facts import RedisFacts, RedisProbe
from ai_gateway.stores.rollup_tables import OutcomeHour
from ai_gateway.stores.system_sums import LedgerFacts, SystemSums
from ai_gateway.stores.tables import db
from tests.redis_servers import running_redis
from tests.seeding import NOW, UTC_ZONE, add_entry
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import NO_REDIS, SetClock, SetHealth

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
REDIS = RedisFacts(
    server="Valkey 9.1.2",
    took=timedelta(milliseconds=1),
    used_bytes=1,
    max_bytes=100,
    policy="noeviction",
    up_for=timedelta(hours=1),
    now=NOW,
    is_trusted=True,
    outbox_entries=0,
    open_holds=0,
    held=ZERO,
)
WELL = PartsHealth(
    now=NOW,
    live=LiveState(ledger_lag=timedelta(seconds=1)),
    redis=REDIS,
    sql_took=timedelta(milliseconds=2),
    ledger=LedgerFacts(10, NOW, 0),
    providers=(),
    price_book="test",
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, PartState.OK),
        ({"took": timedelta(milliseconds=150)}, PartState.DEGRADED),
        ({"used_bytes": 10}, PartState.DEGRADED),
        ({"used_bytes": 10**9, "max_bytes": 0}, PartState.OK),
        ({"is_trusted": False}, PartState.DEGRADED),
        # It would throw money away (money.md F24).
        ({"policy": "allkeys-lru"}, PartState.DOWN),
    ],
)
def test_state_of_redis(change: dict[str, object], expected: PartState) -> None:
    redis = replace(REDIS, **change)  # type: ignore[arg-type]  # names of its fields
    assert replace(WELL, redis=redis).redis_state is expected


def test_without_redis_it_is_down_and_the_clocks_are_unknown() -> None:
    away = replace(WELL, redis=None)
    assert (away.redis_state, away.clock_state) == (PartState.DOWN, PartState.UNKNOWN)


@pytest.mark.parametrize(
    ("lag", "set_aside", "expected"),
    [
        (timedelta(seconds=1), 0, PartState.OK),
        (timedelta(seconds=61), 0, PartState.DEGRADED),
        (timedelta(seconds=1), 1, PartState.DEGRADED),
        (None, 0, PartState.UNKNOWN),
    ],
)
def test_state_of_the_ledger(lag: timedelta | None, set_aside: int, expected: PartState) -> None:
    health = replace(WELL, live=LiveState(ledger_lag=lag), ledger=LedgerFacts(1, NOW, set_aside))
    assert health.ledger_state is expected


@pytest.mark.parametrize(
    ("requests", "failures", "expected"),
    [
        (0, 0, PartState.OK),
        (100, 9, PartState.OK),
        (100, 10, PartState.DEGRADED),
        (100, 50, PartState.DOWN),
        (4, 4, PartState.UNKNOWN),
    ],
)
def test_state_of_a_provider(requests: int, failures: int, expected: PartState) -> None:
    assert ProviderHealth("openai", requests, failures, None, None).state is expected


@pytest.mark.parametrize(
    ("skew", "expected"), [(-4, PartState.OK), (6, PartState.DEGRADED), (-6, PartState.DEGRADED)]
)
def test_state_of_the_clocks(skew: int, expected: PartState) -> None:
    ahead = replace(REDIS, now=NOW + timedelta(seconds=skew))
    assert replace(WELL, redis=ahead).clock_state is expected


@pytest.fixture
def database(tmp_path: Path) -> Iterator[None]:
    with opened(sqlite_url(tmp_path)):
        yield


def _read(redis_url: str) -> PartsHealth:
    with connect(redis_url) as client:
        report = PartsHealthReport(
            RedisProbe(client),
            SystemSums(),
            price_book=lambda: "book",
            clock=SetClock(),
            zone=UTC_ZONE,
        )
        return report.read(SetHealth())  # type: ignore[arg-type]  # it answers the one question


def test_facts_come_from_a_real_redis_and_the_ledger(database: None) -> None:
    add_entry("r1", admitted_at=NOW - timedelta(days=3))
    with running_redis() as server:
        health = _read(server.url)
    assert health.redis is not None
    assert health.redis.server.startswith("Valkey")
    assert health.redis.is_policy_safe
    assert abs(health.redis.now - datetime.now(UTC)) < timedelta(seconds=30)
    assert not health.redis.is_trusted
    assert (health.ledger.entries, health.ledger.oldest) == (1, NOW - timedelta(days=3))


def test_the_rest_is_told_while_redis_is_away(database: None) -> None:
    health = _read(NO_REDIS)
    assert (health.redis, health.price_book) == (None, "book")


def test_providers_have_their_last_failure_within_a_day(database: None) -> None:
    for hours_ago, provider, outcome, count in (
        (0, "openai", "success", 6),
        (0, "openai", "upstream_error", 1),
        (3, "groq", "upstream_timeout", 2),
        (30, "mistral", "success", 9),
    ):
        hour = HOUR - timedelta(hours=hours_ago)
        db.session.add(OutcomeHour(hour=hour, provider=provider, outcome=outcome, count=count))
    db.session.commit()
    groq, openai = _read(NO_REDIS).providers
    assert (openai.requests, openai.failures, openai.last_failure) == (7, 1, HOUR)
    assert (groq.requests, groq.last_failure, groq.last_outcome) == (
        0,
        HOUR - timedelta(hours=3),
        "upstream_timeout",
    )
