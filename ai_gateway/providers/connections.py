"""Connections to the providers: opened within a time limit, and kept for the next call.

One that was handed out is nobody else's until it is kept again; whoever is interrupted closes it.
"""

import socket
import ssl
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from weakref import finalize

MOST_KEPT = 1_000
"""Idle connections to one place; what comes above that is closed."""

_PORTS = {"http": 80, "https": 443}
_TARGET_CHARACTERS = "/?:@!$&'()*+,;=%-._~[]"


class Place(NamedTuple):
    """Where a connection leads."""

    is_tls: bool
    host: str
    port: int


class Address(NamedTuple):
    """An URL as a request needs it: where to connect, the header `Host`, and what to ask for."""

    place: Place
    host_header: str
    target: str


@lru_cache(maxsize=256)
def read_address(url: str) -> Address:
    """Take an URL apart; raises `ValueError` where it is none of HTTP."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("not an address of HTTP")
    path = quote(parts.path or "/", safe=_TARGET_CHARACTERS)
    query = quote(parts.query, safe=_TARGET_CHARACTERS)
    return Address(
        Place(parts.scheme == "https", parts.hostname, parts.port or _PORTS[parts.scheme]),
        parts.netloc.rpartition("@")[2],
        f"{path}?{query}" if query else path,
    )


class Connections:
    """Belongs to one worker, after the fork. The last one that was kept is the first one taken."""

    def __init__(self, connect_seconds: float) -> None:
        self._connect_seconds = connect_seconds
        self._kept: defaultdict[Place, list[socket.socket]] = defaultdict(list)
        finalize(self, _close_all, self._kept)

    def take(self, place: Place) -> socket.socket:
        """A kept connection that the other side has not closed, or a new one; raises `OSError`."""
        kept = self._kept[place]
        while kept:
            connection = kept.pop()
            if _is_quiet(connection):
                return connection
            connection.close()
        return self._open(place)

    def keep(self, place: Place, connection: socket.socket) -> None:
        """Keep a connection on which nothing is under way."""
        kept = self._kept[place]
        if len(kept) < MOST_KEPT:
            kept.append(connection)
        else:
            connection.close()

    def _open(self, place: Place) -> socket.socket:
        raw = socket.create_connection((place.host, place.port), self._connect_seconds)
        try:
            # A request is sent at once, not when the answer to the one before is acknowledged.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._tls.wrap_socket(raw, server_hostname=place.host) if place.is_tls else raw
        except BaseException:
            raw.close()
            raise

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context


def shut(connection: socket.socket) -> None:
    """Let a reader in another thread see the end at once."""
    with suppress(OSError):
        # As a plain socket, so that the reader's TLS is not taken from under it.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _close_all(kept: Mapping[Place, list[socket.socket]]) -> None:
    for connections in kept.values():
        while connections:
            connections.pop().close()


def _is_quiet(connection: socket.socket) -> bool:
    """Whether nothing has come on it, neither bytes that nobody asked for nor the end."""
    try:
        connection.settimeout(0)
        # As a plain socket: TLS cannot be looked at without being read.
        socket.socket.recv(connection, 1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
