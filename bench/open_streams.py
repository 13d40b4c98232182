"""Many streams that have begun and go on, so that the memory that each takes can be seen."""

import select
import time
from types import TracebackType
from typing import Self

from bench.errors import BenchError
from bench.stream_load import SILENCE_SECONDS, Stream, begin

BEGUN_AT_ONCE = 50
"""How many may wait for their first event: a queue is not what is measured."""
MOST_REFUSED = 200
OPENING_SECONDS = 150
"""Longer than this nobody waits for more streams to open."""


class OpenStreams:
    """Opens them bit by bit and keeps them; they are closed at the end of the block."""

    def __init__(self, port: int, request: str) -> None:
        self._port = port
        self._request = request.encode("latin-1")
        self._streams: dict[int, Stream] = {}
        self._epoll = select.epoll()
        self._refused = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for stream in self._streams.values():
            stream.socket.close()
        self._epoll.close()

    @property
    def held(self) -> list[Stream]:
        return list(self._streams.values())

    def open_until(self, count: int) -> None:
        """Open more until there are `count`, each with its first event.

        One that is refused is followed by another, as long as these are few.
        """
        waiting: set[int] = set()
        deadline = time.monotonic() + OPENING_SECONDS
        while waiting or len(self._streams) < count:
            while len(waiting) < BEGUN_AT_ONCE and len(self._streams) < count:
                stream = begin(self._port, self._request)
                self._streams[stream.socket.fileno()] = stream
                self._epoll.register(stream.socket.fileno(), select.EPOLLIN)
                waiting.add(stream.socket.fileno())
            waiting -= self._settled()
            if time.monotonic() > deadline:
                begun = len(self._streams) - len(waiting)
                raise BenchError(f"{begun} of {count} had begun after {OPENING_SECONDS} s more")

    def _settled(self) -> set[int]:
        """Read what has come, and tell which streams have begun or were refused."""
        ready = self._epoll.poll(SILENCE_SECONDS)
        if not ready:
            raise BenchError(f"no further stream began within {SILENCE_SECONDS} s")
        settled = set()
        for number, _ in ready:
            stream = self._streams[number]
            is_open = stream.receive()
            if not is_open:
                self._drop(number)
            if stream.first_event_at or not is_open:
                settled.add(number)
        return settled

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number)
        self._epoll.unregister(number)
        stream.socket.close()
        self._refused += 1
        if self._refused > MOST_REFUSED:
            raise BenchError(f"{self._refused} streams ended before their time: {stream.tail!r}")
