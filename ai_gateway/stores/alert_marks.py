"""Marks in Redis for what people are told of while SQL, which keeps everything else, is away."""

from datetime import datetime, timedelta

import redis

from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import translated_errors

KNOWN_FOR = timedelta(days=7)
SENT = "sent"


class AlertMarks:
    """Raises `BudgetUnavailable`."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def begin(self, kind: str, now: datetime) -> datetime:
        """When an outage began: now, or whatever the first one said who noticed it."""
        with translated_errors():
            name = redis_keys.outage(kind)
            self._client.set(name, now.isoformat(), nx=True, ex=KNOWN_FOR)
            return datetime.fromisoformat(str(self._client.get(name) or now.isoformat()))

    def began(self, kind: str) -> datetime | None:
        """When the outage began that somebody noticed and nobody ended."""
        with translated_errors():
            began = self._client.get(redis_keys.outage(kind))
        return datetime.fromisoformat(str(began)) if began else None

    def end(self, kind: str) -> None:
        with translated_errors():
            self._client.delete(redis_keys.outage(kind))

    def claim(self, delivery: str, lease: timedelta) -> bool:
        """Whether it is ours to send; a sender that dies lets its claim lapse."""
        with translated_errors():
            name = redis_keys.outage(delivery)
            return bool(self._client.set(name, "claimed", nx=True, ex=lease))

    def release(self, delivery: str) -> None:
        """It did not arrive: whoever is next may try."""
        self.end(delivery)

    def keep(self, delivery: str) -> None:
        """It arrived, and nobody sends it again."""
        with translated_errors():
            self._client.set(redis_keys.outage(delivery), SENT, ex=KNOWN_FOR)

    def is_kept(self, delivery: str) -> bool:
        with translated_errors():
            return self._client.get(redis_keys.outage(delivery)) == SENT
