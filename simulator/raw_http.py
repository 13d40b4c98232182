"""An HTTP client for tests that hides nothing: chunks as they were cut, and a reset as such."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import orjson

_PATIENCE_SECONDS: Final = 20.0
_READ_BYTES: Final = 65_536
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer; ``chunks`` are the chunks of the transfer coding, or the one plain body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[bytes, ...]
    was_reset: bool

    @property
    def body(self) -> bytes:
        """All that came."""
        return b"".join(self.chunks)

    def header(self, name: str) -> str | None:
        """Find a header by its lower-case name."""
        return next((value for key, value in self.headers if key == name), None)


class RawConnection:
    """One connection for one request."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=_PATIENCE_SECONDS)
        self._received = b""

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> None:
        """Send a request that ends the connection; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        lines = [
            f"{method} {path} HTTP/1.1",
            "host: simulator",
            "connection: close",
            "content-type: application/json",
            f"content-length: {len(data)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.send_bytes("\r\n".join(lines).encode() + _HEAD_END + data)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def read_until(self, wanted: bytes, times: int = 1) -> None:
        """Read until some bytes have come so many times."""
        while self._received.count(wanted) < times:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise EOFError(f"the answer ended before {wanted!r}")
            self._received += data

    def read_to_end(self) -> RawAnswer:
        """Read until the far end closes or resets the connection."""
        was_reset = False
        try:
            while data := self._socket.recv(_READ_BYTES):
                self._received += data
        except ConnectionResetError:
            was_reset = True
        return _parsed(self._received, was_reset=was_reset)


def _parsed(received: bytes, *, was_reset: bool) -> RawAnswer:
    head, _, body = received.partition(_HEAD_END)
    status_line, *lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    pairs = tuple(_header(line) for line in lines)
    is_chunked = ("transfer-encoding", "chunked") in pairs
    return RawAnswer(
        status=int(words[1]) if len(words) > 1 else 0,
        headers=pairs,
        chunks=_chunks(body) if is_chunked else (body,),
        was_reset=was_reset,
    )


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def _chunks(body: bytes) -> tuple[bytes, ...]:
    """Undo the transfer coding; a chunk that did not come whole is left out."""
    chunks: list[bytes] = []
    while True:
        size_text, found, rest = body.partition(b"\r\n")
        size = int(size_text, 16) if found else 0
        if size == 0 or len(rest) < size:
            return tuple(chunks)
        chunks.append(rest[:size])
        body = rest[size + 2 :]
