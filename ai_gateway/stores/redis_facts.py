"""The state of Redis for the system page, in one round trip."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import redis

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

SAFE_POLICY = "noeviction"
WRITTEN_AT = "updated_at"
"""The figure that tells when the figures were written."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What Redis says of itself and of what we keep in it; `now` is by its own clock.

    `bookkeeper_at` is when the bookkeeper last wrote its figures.
    """

    server: str
    took: timedelta
    used_bytes: int
    max_bytes: int
    policy: str
    up_for: timedelta
    now: datetime
    is_trusted: bool
    outbox_entries: int
    open_holds: int
    held: Money
    bookkeeper_at: datetime | None = None

    @property
    def is_policy_safe(self) -> bool:
        """With any other it would throw away money when its memory is full."""
        return self.policy == SAFE_POLICY


class RedisProbe:
    """Asks within the time limit of the client."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def policy(self) -> str:
        """What a full Redis does (`maxmemory-policy`); raises `BudgetUnavailable`."""
        with translated_errors():
            return str(self._client.info("memory")["maxmemory_policy"])

    def facts(self, installation: Account) -> RedisFacts:
        """Raises `BudgetUnavailable`. `installation` is the account whose holds are shown."""
        began = perf_counter()
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.info("memory")
            pipeline.info("server")
            pipeline.time()
            pipeline.hexists(redis_keys.META, "epoch")
            pipeline.xlen(redis_keys.OUTBOX)
            pipeline.zcard(redis_keys.LEASES)
            pipeline.hget(redis_keys.account(installation), "held")
            pipeline.hget(redis_keys.FIGURES, WRITTEN_AT)
            memory, server, (seconds, microseconds), epoch, *ours = pipeline.execute()
            waiting, holds, held, written = ours
        return RedisFacts(
            server=_server(server),
            took=timedelta(seconds=perf_counter() - began),
            used_bytes=int(memory["used_memory"]),
            max_bytes=int(memory["maxmemory"]),
            policy=str(memory["maxmemory_policy"]),
            up_for=timedelta(seconds=int(server["uptime_in_seconds"])),
            now=datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds),
            is_trusted=bool(epoch),
            outbox_entries=waiting,
            open_holds=holds,
            held=Money(int(held or 0)),
            bookkeeper_at=datetime.fromisoformat(written) if written else None,
        )


def _server(info: dict[str, Any]) -> str:
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"
