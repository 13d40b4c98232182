"""The holds that are open now, for `/metrics`; never on the path of a call."""

from dataclasses import dataclass
from datetime import datetime

import orjson
import redis

from ai_gateway.domain.money import ZERO, Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

CALLS_AT_ONCE = 500
"""Redis answers others between two batches."""


@dataclass(frozen=True, slots=True)
class HoldSums:
    """How many holds there are, for how much, and when the oldest began; None without one."""

    count: int = 0
    held: Money = ZERO
    oldest: datetime | None = None


class OpenHolds:
    """Reads the record of each running call."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def sums(self) -> HoldSums:
        """Raises `BudgetUnavailable`."""
        with translated_errors():
            request_ids = [str(name) for name in self._client.zrange(redis_keys.LEASES, 0, -1)]
            holds = [
                hold
                for first in range(0, len(request_ids), CALLS_AT_ONCE)
                for hold in self._read(request_ids[first : first + CALLS_AT_ONCE])
            ]
        if not holds:
            return HoldSums()
        return HoldSums(
            len(holds), Money(sum(amount for amount, _ in holds)), min(began for _, began in holds)
        )

    def _read(self, request_ids: list[str]) -> list[tuple[int, datetime]]:
        pipeline = self._client.pipeline(transaction=False)
        for request_id in request_ids:
            pipeline.hmget(redis_keys.call(request_id), "hold", "facts")
        return [
            (int(hold or 0), datetime.fromisoformat(orjson.loads(facts)["admitted_at"]))
            for hold, facts in pipeline.execute()
            if facts
        ]
