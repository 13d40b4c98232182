"""All counters in Redis, page by page, for housekeeping: never on the path of a call.

Redis is asked by SCAN, which does not stop it as KEYS would. Most counters end by themselves.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import redis

from ai_gateway.domain.limits import Account
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

KEYS_AT_ONCE = 500
NO_END = -1
"""What Redis says of the rest of the life of a key that has none."""


@dataclass(frozen=True, slots=True)
class CounterKey:
    """A counter, and whether it ends by itself."""

    account: Account
    has_end: bool


class CounterKeys:
    """Raises `BudgetUnavailable`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def pages(self) -> Iterator[list[CounterKey]]:
        """Every counter at least once, a page for each round of SCAN; a page may be empty."""
        cursor = 0
        while True:
            with translated_errors():
                cursor, found = self._client.scan(
                    cursor, match=redis_keys.EVERY_ACCOUNT, count=KEYS_AT_ONCE
                )
                names = list(map(str, found))
                lives = self._lives(names)
            yield [
                CounterKey(redis_keys.account_of(name), life != NO_END)
                for name, life in zip(names, lives, strict=True)
            ]
            if not cursor:
                return

    def remove(self, accounts: Iterable[Account]) -> int:
        """Forget counters; Redis frees their memory by and by. Returns how many there were."""
        names = [redis_keys.account(account) for account in accounts]
        if not names:
            return 0
        with translated_errors():
            return int(self._client.unlink(*names))

    def end(self, moments: Iterable[tuple[Account, datetime]]) -> int:
        """Let counters end by themselves at these moments; returns how many that were."""
        with translated_errors(), self._client.pipeline(transaction=False) as pipeline:
            for account, moment in moments:
                pipeline.expireat(redis_keys.account(account), moment, nx=True)
            return sum(map(int, pipeline.execute()))

    def _lives(self, names: list[str]) -> list[int]:
        with self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.ttl(name)
            return [int(life) for life in pipeline.execute()]
