"""Counters in a real Valkey: those of long closed windows go, and no other."""

from datetime import UTC, datetime

import pytest
import redis

from ai_gateway.domain.limits import account_from_name
from ai_gateway.services.housekeeping import CountersWork
from ai_gateway.stores import redis_keys
from ai_gateway.stores.counter_keys import KEYS_AT_ONCE, CounterKeys
from tests.services.workbench import NOW, ZONE

# NOW is the 15th of January 2050.
OLD = ("user:1:2049-12-13", "key:1:2049-12-13", "user:1:2048-11", "installation:0:2048-11")
KEPT = (
    *("user:1:2050-01-15", "user:1:2049-12-15", "key:1:2049-12-15"),
    *("user:1:2050-01", "user:1:2048-12", "installation:0:2050-01"),
)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
def work(redis_client: redis.Redis) -> CountersWork:
    return CountersWork(CounterKeys(redis_client), lambda: NOW, ZONE)


def put(client: redis.Redis, *names: str, ends_at: datetime | None = FAR) -> None:
    with client.pipeline() as pipeline:
        for name in names:
            key = redis_keys.account(account_from_name(name))
            pipeline.hset(key, mapping={"spent": 7, "held": 0})
            if ends_at is not None:
                pipeline.expireat(key, ends_at)
        pipeline.execute()


def names(client: redis.Redis) -> set[str]:
    return {redis_keys.account_of(str(key)).name for key in client.scan_iter("*:account:*")}


def end_of(client: redis.Redis, name: str) -> datetime:
    key = redis_keys.account(account_from_name(name))
    return datetime.fromtimestamp(client.expiretime(key), UTC)


def test_closed_days_go_after_32_days_and_months_after_13(
    redis_client: redis.Redis, work: CountersWork
) -> None:
    put(redis_client, *OLD, *KEPT)
    assert work.plan() == "Counters to remove: 4; to be given an end: 0"
    assert len(names(redis_client)) == len(OLD) + len(KEPT)
    assert sum(work.steps()) == len(OLD)
    assert names(redis_client) == set(KEPT)
    assert end_of(redis_client, KEPT[0]) == FAR


def test_a_counter_without_an_end_gets_the_one_that_it_should_have(
    redis_client: redis.Redis, work: CountersWork
) -> None:
    put(redis_client, "user:2:2050-01-15", OLD[0], ends_at=None)
    put(redis_client, "user:3:2050-01-15")
    assert work.plan() == "Counters to remove: 1; to be given an end: 1"
    assert sum(work.steps()) == 2
    assert names(redis_client) == {"user:2:2050-01-15", "user:3:2050-01-15"}
    assert end_of(redis_client, "user:2:2050-01-15") == datetime(2050, 2, 17, tzinfo=UTC)
    assert sum(work.steps()) == 0


def test_many_are_seen_a_page_at_a_time_and_nothing_else_is_touched(
    redis_client: redis.Redis, work: CountersWork
) -> None:
    others = {redis_keys.META: "epoch", redis_keys.key_record("k1"): "version"}
    for key, field in others.items():
        redis_client.hset(key, field, "1")
    many = [f"user:{number}:2049-11-01" for number in range(3 * KEYS_AT_ONCE)]
    put(redis_client, *many)
    steps = work.steps()
    first = next(steps)
    assert 0 < first < len(many)
    # Killed here: another run removes what is left.
    assert sum(work.steps()) == len(many) - first
    assert {str(key) for key in redis_client.scan_iter()} == set(others)
