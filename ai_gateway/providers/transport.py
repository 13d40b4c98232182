"""The only place that opens a socket to a provider.

Redirects are never followed, proxies of the environment are ignored, nothing is sent twice, every
wait has a limit. A connection whose answer was not read to its end is closed, never used again.
"""

import re
import socket
from dataclasses import dataclass
from time import monotonic

from ai_gateway.errors import UpstreamTimeout, UpstreamUnavailable
from ai_gateway.providers.connections import Address, Connections, Place, read_address, shut
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.http_answer import HttpAnswer, NoHttp

MAX_ANSWER_BYTES = 64 * 2**20
JOINED_BYTES = 64 * 2**10
"""Up to so many bytes a request is sent in one piece; above, the copy costs more than a call."""
MOMENT_SECONDS = 0.001
"""Not 0, which would not wait at all for what is on its way through TLS."""

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
            answer = HttpAnswer(connection)
        except TimeoutError as error:
            connection.close()
            raise UpstreamTimeout(request.provider) from error
        except (OSError, NoHttp) as error:
            connection.close()
            is_invalid = isinstance(error, NoHttp)
            raise UpstreamUnavailable(
                request.provider, was_sent=True, is_invalid=is_invalid
            ) from error
        except BaseException:
            connection.close()
            raise
        exchange = _Exchange(self._connections, address.place, connection, answer)
        return UpstreamResponse(request.provider, exchange, self._silence(request))

    def _silence(self, request: UpstreamRequest) -> float:
        return self._limits.stream if request.is_streamed else self._limits.whole_answer

    def _send(self, connection: socket.socket, head: bytes, request: UpstreamRequest) -> None:
        connection.settimeout(self._silence(request))
        body = request.body
        if len(body) <= JOINED_BYTES:
            connection.sendall(head + body)
        else:
            connection.sendall(head)
            connection.sendall(body)


@dataclass(slots=True)
class _Exchange:
    """An answer, and the connection that it comes on."""

    connections: Connections
    place: Place
    connection: socket.socket
    answer: HttpAnswer
    has_ended: bool = False

    def end(self, *, is_read: bool) -> None:
        """Keep the connection when the answer was read to its end, else close it."""
        if self.has_ended:
            return
        self.has_ended = True
        if is_read and self.answer.may_be_followed:
            self.connections.keep(self.place, self.connection)
        else:
            self.connection.close()


class UpstreamResponse:
    """A provider's answer whose body is still to be read; reading may raise `UpstreamError`.

    `tells_its_end`: a connection that broke is no end of it, and is told apart.
    """

    def __init__(self, provider: str, exchange: _Exchange, silence_seconds: float) -> None:
        answer = exchange.answer
        self.status = answer.status
        self.headers = answer.headers
        self.tells_its_end = answer.is_chunked or answer.left is not None
        self._provider = provider
        self._exchange = exchange
        self._answer = answer
        self._silence_seconds = silence_seconds
        self._heard_at = monotonic()
        self._is_read = False
        self._is_interrupted = False
        if self.headers.get("content-encoding", "identity") != "identity":
            # We asked for identity, and what cannot be read cannot be metered.
            self.close()
            raise UpstreamUnavailable(provider, was_sent=True, is_invalid=True)

    def read_all(self) -> bytes:
        """The whole body, up to `MAX_ANSWER_BYTES`."""
        parts = []
        size = 0
        while part := self.read_some():
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise UpstreamUnavailable(self._provider, was_sent=True, is_invalid=True)
        return b"".join(parts)

    def read_some(self) -> bytes:
        """What has arrived, at least a byte; empty at the end."""
        part = None
        while part is None:
            part = self.read_within(self._silence_seconds)
        return part

    def read_within(self, seconds: float) -> bytes | None:
        """The same; None where nothing came within so many seconds."""
        left = self._heard_at + self._silence_seconds - monotonic()
        try:
            self._exchange.connection.settimeout(max(MOMENT_SECONDS, min(seconds, left)))
            part = self._answer.read_some()
        except TimeoutError as error:
            if seconds < left:
                return None
            raise UpstreamTimeout(self._provider) from error
        except (OSError, NoHttp) as error:
            # Broken off, or a connection that is closed already.
            raise UpstreamUnavailable(self._provider, was_sent=True) from error
        if self._is_interrupted:
            # What had arrived before can still be read.
            raise UpstreamUnavailable(self._provider, was_sent=True)
        self._heard_at = monotonic()
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
