"""What the reader of a stream has read and its writer has not yet taken.

One thread puts, one other takes. It is bounded: a client that reads slowly stops the reader, and
with it the provider.
"""

from queue import Empty, SimpleQueue
from threading import Event

MOST_PARTS = 64
MOST_BYTES = 2**20

_END = b""


class Handoff:
    """A queue of bytes whose taker gets all that is there at once."""

    # Each counter and mark is written by one side alone, so that no event needs a lock.

    def __init__(self) -> None:
        self._parts: SimpleQueue[bytes] = SimpleQueue()
        self._bytes_put = 0
        self._bytes_taken = 0
        self._has_room = Event()
        self.has_ended = False
        self.is_abandoned = False

    @property
    def is_empty(self) -> bool:
        """Whether everything that was put has been taken."""
        return self._bytes_put == self._bytes_taken

    def put(self, part: bytes) -> None:
        """Hand a part on, and wait while too much is waiting already."""
        if self.is_abandoned:
            return
        self._bytes_put += len(part)
        self._parts.put(part)
        while self._is_full():
            self._has_room.clear()
            if self._is_full():
                self._has_room.wait()

    def end(self) -> None:
        """Tell that nothing more will be put."""
        self.has_ended = True
        self._parts.put(_END)

    def take(self, seconds: float) -> bytes | None:
        """All that waits, as soon as there is anything; empty at the end, None for silence."""
        try:
            parts = [self._parts.get(timeout=seconds)]
        except Empty:
            return None
        while parts[-1] and not self._parts.empty():
            parts.append(self._parts.get())
        if not parts[-1]:
            # For the next one who asks.
            self._parts.put(_END)
        taken = parts[0] if len(parts) == 1 else b"".join(parts)
        self._bytes_taken += len(taken)
        if not self._has_room.is_set():
            self._has_room.set()
        return taken

    def abandon(self) -> None:
        """Tell that nothing more will be taken: whatever is put from now on is forgotten."""
        self.is_abandoned = True
        self._has_room.set()

    def _is_full(self) -> bool:
        if self.is_abandoned:
            return False
        waiting = self._bytes_put - self._bytes_taken
        return waiting >= MOST_BYTES or self._parts.qsize() >= MOST_PARTS
