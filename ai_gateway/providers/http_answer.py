"""Reads one answer of HTTP/1.1 from a connection: its head, then its body as it arrives.

Written for the path of a call: the standard library parses headers as those of a mail, keeps a
buffer for each answer, and hands on one chunk at a time however many have arrived.
"""

import re
import socket

READ_BYTES = 64 * 2**10
MOST_HEAD_BYTES = 64 * 2**10
MOST_LINE_BYTES = 8 * 2**10
"""Of the line with the length of a chunk, and of what may come after the last one."""

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(r"HTTP/1\.([01]) +([1-9]\d\d)(?: .*)?")
_LINE_END = re.compile(r"\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")
_DATA_END = re.compile(rb"\r?\n")
_CHUNKS_END = re.compile(rb"(?:[^\r\n]+\r?\n)*\r?\n")
_BODILESS = frozenset({204, 304})


class NoHttp(Exception):
    """What came is no answer of HTTP, or none that can be read."""


class BrokenOff(OSError):
    """The connection ended before the answer did."""


class HttpAnswer:
    """`status` and `headers` (names in lower case) are there once it is made.

    `left` is what is missing of a body whose length is known.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Wait for the head; raises `NoHttp` or `OSError`."""
        self._connection = connection
        self._rest = b""
        version, self.status = self._begin()
        coding = self.headers.get("transfer-encoding", "identity").lower()
        if coding not in {"identity", "chunked"}:
            raise NoHttp("a transfer coding that nobody asked for")
        self.is_chunked = coding == "chunked"
        self.left = self._length()
        self.is_read = self.left == 0
        words = self.headers.get("connection", "").lower()
        is_kept = "close" not in words if version else "keep-alive" in words
        self.is_last = not is_kept or not (self.is_chunked or self.left is not None)
        self._chunk_left = 0
        self._is_behind_data = False
        self._is_behind_chunks = False

    @property
    def may_be_followed(self) -> bool:
        """Whether the connection is good for another request."""
        return self.is_read and not self.is_last and not self._rest

    def read_some(self) -> bytes:
        """What has arrived of the body, at least a byte; empty at its end. Raises as above."""
        while not self.is_read:
            came = self._rest or self._connection.recv(READ_BYTES)
            self._rest = b""
            part = self._body_of(came) if came else self._end_of_connection()
            if part:
                return part
        return b""

    def _begin(self) -> tuple[int, int]:
        version, status = self._read_head()
        while status < 200:  # it says that the answer is still to come
            version, status = self._read_head()
        return version, status

    def _read_head(self) -> tuple[int, int]:
        received = self._rest
        while (end := _HEAD_END.search(received)) is None:
            came = self._connection.recv(READ_BYTES)
            if not came and not received:
                raise BrokenOff("the connection was closed without an answer")
            received += came
            if not came or len(received) > MOST_HEAD_BYTES:
                raise NoHttp("a head without an end")
        self._rest = received[end.end() :]
        status, *lines = _LINE_END.split(received[: end.start()].decode("latin-1"))
        found = _STATUS.fullmatch(status)
        if found is None:
            raise NoHttp("no status")
        fields = (line.partition(":") for line in lines)
        self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}
        return int(found[1]), int(found[2])

    def _length(self) -> int | None:
        if self.status in _BODILESS:
            return 0
        stated = self.headers.get("content-length")
        if stated is None or self.is_chunked:
            return None
        if not (stated.isascii() and stated.isdigit() and len(stated) < 16):
            raise NoHttp("no length")
        return int(stated)

    def _body_of(self, came: bytes) -> bytes:
        if self.is_chunked:
            return self._unchunked(came)
        if self.left is None:
            return came
        part, self._rest = came[: self.left], came[self.left :]
        self.left -= len(part)
        self.is_read = not self.left
        return part

    def _unchunked(self, came: bytes) -> bytes:
        """The data of all chunks in what came; what may still become a line is kept."""
        parts = []
        position = 0
        while position < len(came) and not self._is_behind_chunks:
            if self._chunk_left:
                part = came[position : position + self._chunk_left]
                self._chunk_left -= len(part)
                self._is_behind_data = not self._chunk_left
                position += len(part)
                parts.append(part)
            elif found := (_DATA_END if self._is_behind_data else _CHUNK_SIZE).match(
                came, position
            ):
                position = found.end()
                if not self._is_behind_data:
                    self._chunk_left = int(found[1], 16)
                    self._is_behind_chunks = not self._chunk_left
                self._is_behind_data = False
            else:
                break
        self._rest = came[position:]
        self._look_for_end()
        if not parts and not self.is_read:
            self._wait_for_line()
        return b"".join(parts)

    def _look_for_end(self) -> None:
        end = _CHUNKS_END.match(self._rest) if self._is_behind_chunks else None
        if end is not None:
            self.is_read = True
            self._rest = self._rest[end.end() :]

    def _wait_for_line(self) -> None:
        """Add to a line that has begun; raises where it cannot become one."""
        is_wrong = self._rest not in {b"", b"\r"} if self._is_behind_data else b"\n" in self._rest
        if (is_wrong and not self._is_behind_chunks) or len(self._rest) > MOST_LINE_BYTES:
            raise NoHttp("no length of a chunk")
        came = self._connection.recv(READ_BYTES)
        if not came:
            self._end_of_connection()
        self._rest += came

    def _end_of_connection(self) -> bytes:
        """The proper end of an answer that names none; raises for any other."""
        self.is_last = True
        if (self.is_chunked and not self._is_behind_chunks) or self.left:
            raise BrokenOff("the connection was closed within the answer")
        self.is_read = True
        return b""
