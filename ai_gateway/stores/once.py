"""Lets something that is asked for twice be done once."""

import redis

from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

KNOWN_SECONDS = 24 * 3600


class Once:
    """Marks in Redis that are known for a day."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def first(self, name: str) -> bool:
        """True for the first who asks by this name; raises `BudgetUnavailable`."""
        with translated_errors():
            mark = redis_keys.once(name)
            return bool(self._client.set(mark, "1", nx=True, ex=KNOWN_SECONDS))
