"""What a call costs a Redis that counts for ten users or for a million, and what each takes there.

Everybody has one key, spent something today and this month, and may call at any moment.
"""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import redis

from ai_gateway.domain.key_record import KeyRecord
from ai_gateway.domain.limits import Scope, accounts_of, forget_at
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import ReserveRequest
from ai_gateway.stores.redis_client import connect
from bench.errors import BenchError
from bench.scale.seeding import Shown
from tests.money import (
    UTC_ZONE,
    MoneyStore,
    admitted_call,
    finished_call,
    key_record,
    limits,
)
from tests.redis_servers import running_redis
from tests.trusting import trust

AT_ONCE = 1_000
CALLS, ROUNDS = 4_000, 8
PUBLISHED = 10_000
ACCOUNTS_OF_ONE = 4
"""A day and a month of the user, and of the key."""

SPENT = 1_234_567_890
SAMPLE, SIGN, HEX = 123_456_788, "@", "#"
"""Whose names the script gets as a pattern: one sign is the user's number, one that of the key."""

FILL = """
local fields = {}
for user = ARGV[1], ARGV[2] - 1 do
  local number, hex = string.format('%d', user + 1), string.format('%08x', user)
  local name = ARGV[3]:gsub('@', number):gsub('#', hex)
  for i = 5, #ARGV do fields[i - 4] = ARGV[i]:gsub('@', number):gsub('#', hex) end
  redis.call('HSET', name, unpack(fields))
  if ARGV[4] ~= '0' then redis.call('EXPIREAT', name, ARGV[4]) end
end
"""

LIMITS = limits(10**15, 10**13, 10**14, 10**13, 10**14)
MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Crowd:
    """A number of users in Redis, and what a call of any of them costs.

    `publish_us` is what the bookkeeper and Redis spend together to publish one key, which happens
    every 30 s.
    """

    users: int
    redis_bytes: int
    account_bytes: float
    key_bytes: float
    redis_us: float
    client_us: float
    publish_us: float


def measure(sizes: Sequence[int], shown: Shown) -> list[Crowd]:
    """One server that is filled further and further."""
    with _roomy_redis() as client:
        store, found, there = MoneyStore(client), [], 0
        trust(client)
        for size in sizes:
            filled = _fill(store, range(there, size), shown)
            there = size
            found.append(_measured(store, size, filled))
        return found


@dataclass(frozen=True, slots=True)
class _Filled:
    account_bytes: float
    key_bytes: float
    publish_us: float


@contextmanager
def _roomy_redis() -> Iterator["redis.Redis"]:
    with running_redis("valkey") as server, connect(server.url, timeout_seconds=60) as client:
        # Neither its size nor its disk is what is measured.
        client.config_set("maxmemory", 0)
        client.config_set("appendonly", "no")
        yield client


def _fill(store: MoneyStore, numbers: range, shown: Shown) -> _Filled:
    at_start, now = _memory(store.client), datetime.now(UTC)
    writing = _Writing(store, now)
    for group in shown(_groups(numbers), f"accounts of {numbers.stop:,} users"):
        writing.accounts(group)
    with_accounts = _memory(store.client)
    for group in shown(_groups(numbers), f"keys of {numbers.stop:,} users"):
        writing.keys(group)
    with_keys, spent = _memory(store.client), _cpu(store.client)
    store.copies.publish(map(_record, numbers[:PUBLISHED]))
    publish = _cpu(store.client) - spent
    return _Filled(
        (with_accounts - at_start) / len(numbers) / ACCOUNTS_OF_ONE,
        (with_keys - with_accounts) / len(numbers),
        publish / len(numbers[:PUBLISHED]) * MICRO,
    )


class _Writing:
    """Writes what the gateway would have written, a thousand users at once, by a script."""

    def __init__(self, store: MoneyStore, now: datetime) -> None:
        self._write = store.client.register_script(FILL)
        moments = [int(moment.timestamp()) for moment in forget_at(now, UTC_ZONE)]
        own = zip(accounts_of(_record(SAMPLE).subjects, now, UTC_ZONE), moments, strict=True)
        self._accounts = [
            (redis_keys.account(account).replace(str(SAMPLE + 1), SIGN), moment)
            for account, moment in own
            if account.scope is not Scope.INSTALLATION
        ]
        store.copies.publish([_record(SAMPLE)])
        name = redis_keys.key_record(_record(SAMPLE).key_id)
        self._key = [str(part) for pair in store.client.hgetall(name).items() for part in pair]
        store.client.delete(name)

    def accounts(self, users: range) -> None:
        for name, moment in self._accounts:
            self._write([], [users.start, users.stop, name, moment, "spent", SPENT, "held", 0])

    def keys(self, users: range) -> None:
        sample, signs = _record(SAMPLE), {str(SAMPLE + 1): SIGN}
        signs |= {sample.digest: f"{'0' * 56}{HEX}", sample.key_id: HEX}
        name = redis_keys.key_record(HEX)
        fields = [_replaced(part, signs) for part in self._key]
        self._write([], [users.start, users.stop, name, 0, *fields])


def _measured(store: MoneyStore, users: int, filled: _Filled) -> Crowd:
    size = _memory(store.client)
    chance = random.Random(users)  # noqa: S311  # the same users every time, not secret ones
    asked = [_asked(store, number, chance.randrange(users)) for number in range(CALLS)]
    rounds = [_called(store, asked[start::ROUNDS]) for start in range(ROUNDS)]
    store.client.delete(redis_keys.OUTBOX, *(redis_keys.call(one.call.request_id) for one in asked))
    return Crowd(
        users,
        size,
        filled.account_bytes,
        filled.key_bytes,
        median(of_redis for of_redis, _ in rounds),
        median(own for _, own in rounds),
        filled.publish_us,
    )


def _called(store: MoneyStore, asked: Sequence[ReserveRequest]) -> tuple[float, float]:
    """Admit and settle; what one call took of Redis, and of the thread that asked."""
    finished = finished_call(600)
    of_redis, own = _redis_cpu(store.client), time.thread_time()
    for one in asked:
        store.meter.reserve(one)
        if not store.meter.settle(one.call, finished):
            raise BenchError("a call was not known when it was settled")
    own, of_redis = time.thread_time() - own, _redis_cpu(store.client) - of_redis
    return of_redis / len(asked) * MICRO, own / len(asked) * MICRO


def _asked(store: MoneyStore, number: int, user: int) -> ReserveRequest:
    record = _record(user)
    call = admitted_call(f"req_growth{user}_{number}", held=10_000, record=record)
    return store.request(call, LIMITS)


def _replaced(text: str, signs: Mapping[str, str]) -> str:
    for old, new in signs.items():
        text = text.replace(old, new)
    return text


def _record(user: int) -> KeyRecord:
    return key_record(f"{user:08x}", subject_id=user + 1, user_id=user + 1, digest=f"{user:064x}")


def _groups(numbers: range) -> list[range]:
    return [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]


def _memory(client: "redis.Redis") -> int:
    return int(client.info("memory")["used_memory"])


def _cpu(client: "redis.Redis") -> float:
    return _redis_cpu(client) + time.thread_time()


def _redis_cpu(client: "redis.Redis") -> float:
    told = client.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])
