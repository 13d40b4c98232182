"""A line between the gateway and a store, with faults that a scenario orders.

It listens at one unix socket and passes on to another. It delays, cuts into pieces, resets after a
number of bytes, loses a reply, or holds whatever comes after some bytes were seen: so that a
process can be killed at a chosen step of its work without a hook in its code.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

READ_BYTES = 2**16
Side = Literal["request", "reply"]


@dataclass(slots=True)
class Faults:
    """What the line does; a scenario may change it while connections are open.

    With `hold_at` the request that has these bytes, or the reply to it where that is the `side`,
    does not arrive, and `reached` is set. With `cuts` the connection is broken then as well.
    """

    delay_seconds: float = 0.0
    slice_bytes: int = READ_BYTES
    reset_after_bytes: int | None = None
    hold_at: bytes | None = None
    side: Side = "request"
    cuts: bool = False
    times: int | None = None
    reached: threading.Event = field(default_factory=threading.Event)

    def is_met(self, request: bytes) -> bool:
        """Whether this request is one to hold; counts down `times`."""
        if self.hold_at is None or self.hold_at not in request or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Line:
    """Accepts until it is closed; each connection has a thread for each direction."""

    def __init__(self, path: Path, target: Path, faults: Faults) -> None:
        self._target = target
        self._faults = faults
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Break every connection; what was held never arrives."""
        for one in [self._listener, *self._open]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                store = socket.socket(socket.AF_UNIX)
                store.connect(str(self._target))
                self._open += [client, store]
                pair = _Pair(client, store, self._faults)
                threading.Thread(target=pair.pass_requests, daemon=True).start()
                threading.Thread(target=pair.pass_replies, daemon=True).start()


class _Pair:
    """One client's connection and its continuation."""

    def __init__(self, client: socket.socket, store: socket.socket, faults: Faults) -> None:
        self._client = client
        self._store = store
        self._faults = faults
        self._loses_replies = False
        self._passed = 0

    def pass_requests(self) -> None:
        with suppress(OSError):
            while request := self._client.recv(READ_BYTES):
                time.sleep(self._faults.delay_seconds)
                if self._faults.is_met(request):
                    self._loses_replies = True
                    if self._faults.side == "request":
                        self._has_come()
                        continue
                self._store.sendall(request)
            self._store.shutdown(socket.SHUT_RDWR)

    def pass_replies(self) -> None:
        with suppress(OSError):
            while reply := self._store.recv(READ_BYTES):
                if self._loses_replies:
                    self._has_come()
                    continue
                self._send_sliced(reply)
            self._client.shutdown(socket.SHUT_RDWR)

    def _has_come(self) -> None:
        self._faults.reached.set()
        if self._faults.cuts:
            for end in (self._client, self._store):
                end.shutdown(socket.SHUT_RDWR)

    def _send_sliced(self, reply: bytes) -> None:
        most = self._faults.reset_after_bytes
        step = self._faults.slice_bytes
        for start in range(0, len(reply), step):
            piece = reply[start : start + step]
            if most is not None and self._passed + len(piece) > most:
                self._client.sendall(piece[: max(0, most - self._passed)])
                self._client.shutdown(socket.SHUT_RDWR)
                return
            self._client.sendall(piece)
            self._passed += len(piece)


@contextmanager
def opened_line(path: Path, target: Path, faults: Faults) -> Iterator[Line]:
    """A line for as long as the block lasts."""
    line = Line(path, target, faults)
    try:
        yield line
    finally:
        line.close()
        path.unlink(missing_ok=True)
