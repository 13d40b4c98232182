"""Which user got which stored response, for 30 days, in Redis.

All keys of the gateway share one account at a provider, which would show anybody's responses.
"""

from dataclasses import dataclass

import redis

from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

KEPT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Owner:
    """Who got a response, and from whom."""

    user_id: int
    provider: str


class ResponseOwners:
    """Raises `BudgetUnavailable` while Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def remember(self, response_id: str, owner: Owner) -> None:
        with translated_errors():
            self._client.set(
                redis_keys.response(response_id),
                f"{owner.user_id} {owner.provider}",
                ex=KEPT_SECONDS,
            )

    def find(self, response_id: str) -> Owner | None:
        with translated_errors():
            found = self._client.get(redis_keys.response(response_id))
        if found is None:
            return None
        user_id, _, provider = str(found).partition(" ")
        return Owner(int(user_id), provider)
