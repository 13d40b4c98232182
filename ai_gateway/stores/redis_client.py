"""The one way to Redis: a client whose every wait is bounded and that repeats hardly anything.

A script may have run although its reply was lost; whether to repeat is decided where that is known
to be harmless, not in the client (whose default is three silent repeats). It repeats once, over a
connection of its own making, what a server refused because it is not the primary (any more): that
was certainly not run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.retry import Retry

from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_cluster import Address, cluster_options

SOCKET_TIMEOUT_SECONDS = 0.8
"""A new call is answered 503 within a second when Redis hangs."""

POOL_CONNECTIONS = 64
CLUSTER = "+cluster"
"""Ends the scheme of a URL that names nodes of a cluster: `redis+cluster://one:6379,two:6379`."""

NOT_THE_PRIMARY = (MovedError, ReadOnlyError, ClusterDownError)
"""Answers of a server that another has taken over from. They come before anything is run."""

_KINDS: tuple[tuple[type[RedisError], str], ...] = (
    (redis.exceptions.OutOfMemoryError, "oom"),
    (ReadOnlyError, "readonly"),
    (redis.exceptions.BusyLoadingError, "loading"),
    (redis.exceptions.NoScriptError, "noscript"),
    (redis.exceptions.TimeoutError, "timeout"),
    (redis.exceptions.ConnectionError, "connection"),
    (AskError, "cluster"),
    (TryAgainError, "cluster"),
    (ClusterDownError, "cluster"),
)
"""In this order: a server that is loading counts as a broken connection too."""

_WORDS = {"MISCONF": "misconf", "NOREPLICAS": "noreplicas"}
"""The client has no class for these, and a pipeline puts words of its own before them."""


def connect(url: str, *, timeout_seconds: float = SOCKET_TIMEOUT_SECONDS) -> redis.Redis:
    """Make a client; connections are opened when first used, so this belongs after the fork.

    `url` is one of `redis://`, `rediss://`, `unix://`, `redis+cluster://` and `rediss+cluster://`.
    Of a cluster the client sees one plain server: the primary of the slot that all keys share. So
    every command, pipeline and transaction works as it does on a single server, and so does a
    connection taken from `connection_pool`. Whoever drives such a connection has to close it after
    an error of `NOT_THE_PRIMARY`; opened again, it leads to the primary of then.
    """
    pool = redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]  # the library's gap
        max_connections=POOL_CONNECTIONS,
        timeout=timeout_seconds,
        decode_responses=True,
        **_options(url, timeout_seconds),
    )
    return redis.Redis.from_pool(pool)


def _options(url: str, seconds: float) -> dict[str, Any]:
    bounded = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 1, supported_errors=NOT_THE_PRIMARY),
        "health_check_interval": 0,
    }
    parts = urlsplit(url)
    if not parts.scheme.endswith(CLUSTER):
        return _read(url) | bounded
    user, at, hosts = parts.netloc.rpartition("@")
    nodes = [_address(host) for host in hosts.split(",")]
    scheme = parts.scheme.removesuffix(CLUSTER)
    # What the nodes have in common is read as that of a single server.
    common = _read(parts._replace(scheme=scheme, netloc=f"{user}{at}any").geturl())
    slot = key_slot(redis_keys.META.encode())
    return cluster_options(slot, nodes, common | bounded, seconds=seconds)


def _read(url: str) -> dict[str, Any]:
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]  # the library's gap
    return options


def _address(host: str) -> Address:
    parts = urlsplit(f"//{host}")
    return parts.hostname or "", parts.port or 6379


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what redis-py raises into `BudgetUnavailable`, once, at this border."""
    try:
        yield
    except RedisError as error:
        raise BudgetUnavailable(_kind_of(error)) from error


def _kind_of(error: RedisError) -> str:
    text = str(error)
    for word, kind in _WORDS.items():
        if word in text:
            return kind
    return next((kind for known, kind in _KINDS if isinstance(error, known)), "other")
