"""What is known of LangSmith, in Redis: the last check, and how each worker's sending goes.

A view for people: nothing depends on it, and what is not renewed is forgotten.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import orjson
import redis

from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

Facts = Mapping[str, str | int | None]


class TracingStateStore:
    """Raises `BudgetUnavailable` where Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def write_check(self, facts: Facts) -> None:
        with translated_errors():
            self._client.set(redis_keys.TRACING, orjson.dumps(facts))

    def write_worker(self, name: str, facts: Facts, *, known_for: timedelta) -> None:
        with translated_errors(), self._client.pipeline() as pipeline:
            pipeline.hset(redis_keys.TRACING_WORKERS, name, orjson.dumps(facts).decode())
            # The hash goes when all have been silent; a single one is left out by its time.
            pipeline.expire(redis_keys.TRACING_WORKERS, known_for)
            pipeline.execute()

    def forget_workers(self, before: datetime) -> None:
        """Drop those whose last word is older."""
        with translated_errors():
            for name, facts in self._workers().items():
                if datetime.fromisoformat(str(facts["at"])) < before:
                    self._client.hdel(redis_keys.TRACING_WORKERS, name)

    def read(self) -> tuple[Facts | None, list[Facts]]:
        """The last check, and what each worker said."""
        with translated_errors():
            check = self._client.get(redis_keys.TRACING)
            return (orjson.loads(check) if check else None), list(self._workers().values())

    def _workers(self) -> dict[str, Facts]:
        found = self._client.hgetall(redis_keys.TRACING_WORKERS)
        return {str(name): orjson.loads(text) for name, text in found.items()}
