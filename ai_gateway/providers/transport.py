"""The only place that opens a socket to a provider.

Redirects are never followed, proxies of the environment are ignored, nothing is sent twice, every
wait has a limit. A connection whose answer was not read to its end is closed, never used again.
"""

import re
import socket
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from ai_gateway.errors import UpstreamTimeout, UpstreamUnavailable
from ai_gateway.providers.connections import Address, Connections, Place, read_address, shut
from ai_gateway.providers.dialect import UpstreamRequest

MAX_ANSWER_BYTES = 64 * 2**20
READ_BYTES = 64 * 2**10
JOINED_BYTES = 64 * 2**10
"""Up to so many bytes a request is sent in one piece; above, the copy costs more than a call."""

_BREAK = re.compile(r"[\r\n\0]")
_OWN_HEADERS = {
    "content-type": "application/json",
    "accept-encoding": "identity",
    "user-agent": "ai-gateway",
}


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """In seconds: to connect, and of silence in a stream or before a whole answer."""

    connect: float = 5
    stream: float = 120
    whole_answer: float = 600


class Transport:
    """Sends requests over the connections of one worker."""

    def __init__(self, limits: TimeLimits | None = None) -> None:
        self._limits = limits or TimeLimits()
        self._connections = Connections(self._limits.connect)

    def send(self, request: UpstreamRequest) -> "UpstreamResponse":
        """Send a request once and wait for the head of the answer.

        Raises `UpstreamUnavailable` (its `was_sent` tells whether the provider may have seen the
        call) or `UpstreamTimeout`.
        """
        address = read_address(request.url)
        head = _head(address, request)
        try:
            connection = self._connections.take(address.place)
        except (OSError, UnicodeError) as error:  # the latter of what cannot be a name of a host
            raise UpstreamUnavailable(request.provider, was_sent=False) from error
        try:
            self._send(connection, head, request)
            response = _begun(HTTPResponse(connection, method=request.method))
        except TimeoutError as error:
            connection.close()
            raise UpstreamTimeout(request.provider) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise UpstreamUnavailable(request.provider, was_sent=True) from error
        except BaseException:
            connection.close()
            raise
        exchange = _Exchange(self._connections, address.place, connection, response)
        return UpstreamResponse(request.provider, exchange)

    def _send(self, connection: socket.socket, head: bytes, request: UpstreamRequest) -> None:
        limits = self._limits
        connection.settimeout(limits.stream if request.is_streamed else limits.whole_answer)
        body = request.body
        if len(body) <= JOINED_BYTES:
            connection.sendall(head + body)
        else:
            connection.sendall(head)
            connection.sendall(body)


@dataclass(frozen=True, slots=True)
class _Exchange:
    """An answer, and the connection that it comes on."""

    connections: Connections
    place: Place
    connection: socket.socket
    response: HTTPResponse

    def end(self, *, is_read: bool) -> None:
        """Keep the connection when the answer was read to its end, else close it."""
        if self.response.closed:
            return
        self.response.close()
        if is_read and not self.response.will_close:
            self.connections.keep(self.place, self.connection)
        else:
            self.connection.close()


class UpstreamResponse:
    """A provider's answer whose body is still to be read; reading may raise `UpstreamError`."""

    def __init__(self, provider: str, exchange: _Exchange) -> None:
        response = exchange.response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self._provider = provider
        self._exchange = exchange
        self._response = response
        self._is_read = False
        self._is_interrupted = False
        if self.headers.get("content-encoding", "identity") != "identity":
            # We asked for identity, and what cannot be read cannot be metered.
            self.close()
            raise UpstreamUnavailable(provider, was_sent=True)

    def read_all(self) -> bytes:
        """The whole body, up to `MAX_ANSWER_BYTES`."""
        parts = []
        size = 0
        while part := self.read_some():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise UpstreamUnavailable(self._provider, was_sent=True)
        return b"".join(parts)

    def read_some(self) -> bytes:
        """What has arrived, at least a byte; empty at the end."""
        try:
            part = self._response.read1(READ_BYTES)
        except TimeoutError as error:
            raise UpstreamTimeout(self._provider) from error
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            # Broken off, or a connection that is closed already.
            raise UpstreamUnavailable(self._provider, was_sent=True) from error
        if self._is_interrupted or (not part and self._response.length):
            # Interrupted: what had arrived before can still be read. Or short of its length.
            raise UpstreamUnavailable(self._provider, was_sent=True)
        self._is_read = not part
        return part

    def close(self) -> None:
        """Give the connection back when the answer was read to its end, else close it."""
        self._exchange.end(is_read=self._is_read and not self._is_interrupted)

    def interrupt(self) -> None:
        """Let a reader in another greenlet see the end at once."""
        if self._is_read:
            return  # the connection may be another call's by now
        self._is_interrupted = True
        shut(self._exchange.connection)


def _begun(response: HTTPResponse) -> HTTPResponse:
    """Wait for the status and the headers."""
    try:
        response.begin()
    except BaseException:
        # Its file keeps the connection open.
        response.close()
        raise
    return response


def _head(address: Address, request: UpstreamRequest) -> bytes:
    """The request line and the headers; raises `ValueError` where one would break the line."""
    headers = {"host": address.host_header, **_OWN_HEADERS, **request.headers}
    if request.body or request.method == "POST":
        headers["content-length"] = str(len(request.body))
    if _BREAK.search("".join(headers.values())):
        raise ValueError("a header has a line break")
    lines = [f"{request.method} {address.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode("latin-1")
