"""Moves refused requests from the stream of the workers into SQL."""

from ai_gateway.stores.refusals import RefusalStream, RefusalTable

BATCH_ENTRIES = 1_000


class RefusalKeeping:
    """A duty of the bookkeeper; it may be done twice or at once."""

    def __init__(self, stream: RefusalStream, table: RefusalTable) -> None:
        self._stream = stream
        self._table = table

    def move(self) -> int:
        """Move what waits; returns how many entries that were."""
        moved = 0
        while True:
            position = self._table.position()
            entries = self._stream.read(position, BATCH_ENTRIES)
            if not entries or not self._table.add(entries, after=position):
                return moved
            self._stream.trim(entries[-1][0])
            moved += len(entries)
