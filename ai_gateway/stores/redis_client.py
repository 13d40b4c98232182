"""The one way to Redis: a client whose every wait is bounded and that never repeats by itself.

A script may have run although its reply was lost; whether to repeat is decided where that is known
to be harmless, not in the client (whose default is three silent repeats).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ai_gateway.errors import BudgetUnavailable

SOCKET_TIMEOUT_SECONDS = 0.8
"""A new call is answered 503 within a second when Redis hangs."""

POOL_CONNECTIONS = 64

_KINDS: tuple[tuple[type[redis.exceptions.RedisError], str], ...] = (
    (redis.exceptions.OutOfMemoryError, "oom"),
    (redis.exceptions.ReadOnlyError, "readonly"),
    (redis.exceptions.BusyLoadingError, "loading"),
    (redis.exceptions.NoScriptError, "noscript"),
    (redis.exceptions.TimeoutError, "timeout"),
    (redis.exceptions.ConnectionError, "connection"),
)
"""In this order: a server that is loading counts as a broken connection too."""


def connect(url: str, *, timeout_seconds: float = SOCKET_TIMEOUT_SECONDS) -> redis.Redis:
    """Make a client; connections are opened when first used, so this belongs after the fork."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=POOL_CONNECTIONS,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
        health_check_interval=0,
    )
    return redis.Redis.from_pool(pool)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what redis-py raises into `BudgetUnavailable`, once, at this border."""
    try:
        yield
    except redis.exceptions.RedisError as error:
        raise BudgetUnavailable(_kind_of(error)) from error


def _kind_of(error: redis.exceptions.RedisError) -> str:
    # The client has no class for this one, and a pipeline puts words of its own before it.
    if "MISCONF" in str(error):
        return "misconf"
    return next((kind for known, kind in _KINDS if isinstance(error, known)), "other")
