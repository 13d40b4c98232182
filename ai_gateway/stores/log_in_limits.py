"""How often a log-in may fail: counted in Redis, or in this process while Redis is away.

An attempt is counted before the password is looked at, and taken back when it was right: so any
number of attempts at once gets no more guesses than the same number one after another.
"""

import hashlib
import ipaddress
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import redis
from limits.storage import MemoryStorage, RedisStorage, Storage

from ai_gateway.stores import redis_keys

Answer = TypeVar("Answer")

REDIS_PAUSE_SECONDS = 10.0
"""How long Redis is left alone after it failed, so that not every log-in waits for it."""

IPV6_NETWORK_BITS = 64
"""What one customer of a provider has; each of its addresses alone would be a way around."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogInRules:
    """The failures that are free, in a window. After `per_user` of them, each further attempt at
    that user waits for twice as long as the one before, up to `longest_pause_seconds`.
    """

    window_seconds: int = 300
    per_user_and_address: int = 5
    per_address: int = 30
    per_user: int = 10
    user_window_seconds: int = 3600
    longest_pause_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Wait:
    """An attempt that came too early; `is_first` of those that this window refuses."""

    seconds: int
    is_first: bool


@dataclass(frozen=True, slots=True)
class _Counter:
    key: str
    most: int
    seconds: int


class LogInLimits:
    """Admits an attempt to log in, or says how long to wait."""

    def __init__(self, client: redis.Redis, rules: LogInRules | None = None) -> None:
        self._rules = rules or LogInRules()
        # The pool of the client bounds every wait; the address names its kind only.
        self._redis = RedisStorage(
            "redis://",
            connection_pool=client.connection_pool,
            key_prefix=redis_keys.LOG_INS,
        )
        self._redis_again_at = 0.0

    def take(self, username: str, address: str) -> Wait | None:
        """Count an attempt; None where it is admitted."""
        return self._on_storage(lambda storage: self._take(storage, username, address))

    def give_back(self, username: str, address: str) -> None:
        """The password was right: forget the failures of this user from there, and this attempt."""

        def forget(storage: Storage) -> None:
            pair, source = self._fixed_counters(username, address)
            storage.incr(source.key, source.seconds, amount=-1)
            for key in (pair.key, _failures_key(username), _pause_key(username)):
                storage.clear(key)

        self._on_storage(forget)

    def _take(self, storage: Storage, username: str, address: str) -> Wait | None:
        taken: list[_Counter] = []
        for counter in self._counters(storage, username, address):
            count = storage.incr(counter.key, counter.seconds)
            if count > counter.most:
                # What is refused by one counter must not fill the others.
                for other in taken:
                    storage.incr(other.key, other.seconds, amount=-1)
                return _wait(storage, counter, count)
            taken.append(counter)
        storage.incr(_failures_key(username), self._rules.user_window_seconds)
        return None

    def _counters(self, storage: Storage, username: str, address: str) -> Iterator[_Counter]:
        yield from self._fixed_counters(username, address)
        over = storage.get(_failures_key(username)) - self._rules.per_user
        if over >= 0:
            longest = self._rules.longest_pause_seconds
            pause = min(2 ** min(over, longest.bit_length()), longest)
            yield _Counter(_pause_key(username), 1, pause)

    def _fixed_counters(self, username: str, address: str) -> tuple[_Counter, _Counter]:
        rules, source = self._rules, _network(address)
        pair = f"pair:{_digest(username)}:{source}"
        return (
            _Counter(pair, rules.per_user_and_address, rules.window_seconds),
            _Counter(f"address:{source}", rules.per_address, rules.window_seconds),
        )

    def _on_storage(self, act: Callable[[Storage], Answer]) -> Answer:
        if time.monotonic() >= self._redis_again_at:
            try:
                return act(self._redis)
            except redis.exceptions.RedisError as error:
                self._redis_again_at = time.monotonic() + REDIS_PAUSE_SECONDS
                logger.warning("log_in_limits_in_process", extra={"kind": type(error).__name__})
        return act(self._memory)

    @cached_property
    def _memory(self) -> MemoryStorage:
        return MemoryStorage()


def _wait(storage: Storage, counter: _Counter, count: int) -> Wait:
    # The library tells moments by the clock of the machine, so they are compared with that one.
    seconds = math.ceil(storage.get_expiry(counter.key) - time.time())
    return Wait(max(1, seconds), is_first=count == counter.most + 1)


def _failures_key(username: str) -> str:
    return f"failures:{_digest(username)}"


def _pause_key(username: str) -> str:
    return f"pause:{_digest(username)}"


def _digest(username: str) -> str:
    # Whatever was typed there: it may be long, and it may be a password.
    return hashlib.sha256(username.encode(errors="surrogatepass")).hexdigest()[:32]


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    bits = IPV6_NETWORK_BITS if parsed.version == 6 else parsed.max_prefixlen
    return str(ipaddress.ip_network((parsed, bits), strict=False).network_address)
