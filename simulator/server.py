"""Serving with gevent: the connection as the application sees it, and the listening server.

The only module that knows gevent, which ships no types: what it lends is given a type here.
"""

import errno
import signal
import socket
import struct
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol

import gevent
from gevent.pywsgi import WSGIHandler, WSGIServer

from simulator.application import CLIENT_KEY, Simulator

_BACKLOG: Final = 1024
_NO_LINGER: Final = struct.pack("ii", 1, 0)

_sleep: Final[Callable[[float], None]] = gevent.sleep
_on_signal: Final[Callable[[int, Callable[[], None]], object]] = gevent.signal_handler
_new_server: Final[Callable[..., "Server"]] = WSGIServer


class Server(Protocol):
    """What is used of gevent's server."""

    @property
    def server_port(self) -> int:
        """The port, once listening."""

    def start(self) -> None:
        """Listen, or raise ``OSError``."""

    def serve_forever(self) -> None:
        """Serve until stopped."""

    def stop(self) -> None:
        """Stop serving."""


class Connection:
    """The client of a call, by its socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # Chunks are small, and each must leave at once.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def pause(self, seconds: float) -> None:
        """Let time pass; raise ``ConnectionResetError`` as soon as the client has gone.

        A write would notice only the second time, and the call log would claim a chunk too many.
        """
        if seconds <= 0:
            _sleep(0)
            return
        self._socket.settimeout(seconds)
        try:
            is_open = bool(self._socket.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return
        finally:
            self._socket.settimeout(None)
        if not is_open:
            raise ConnectionResetError(errno.ECONNRESET, "the client has gone")
        # The next request is here already, so the socket no longer tells whether the client stays.
        _sleep(seconds)

    def reset(self) -> NoReturn:
        """Have the server close the connection by RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        raise ConnectionResetError(errno.ECONNRESET, "reset as the scenario asked")


class Handler(WSGIHandler):
    """gevent's handler, which also hands the connection to the application."""

    def get_environ(self) -> dict[str, Any]:
        """Describe the request."""
        handler: Any = super()
        environ: dict[str, Any] = handler.get_environ()
        environ[CLIENT_KEY] = Connection(self.socket)
        return environ


def make_server(host: str, port: int) -> Server:
    """Make a server that is silent but for its errors, and that SIGTERM and SIGINT stop once it
    serves; it does not listen yet.
    """
    server = _new_server(
        (host, port), Simulator(_sleep), backlog=_BACKLOG, handler_class=Handler, log=None
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        _on_signal(number, server.stop)
    return server
