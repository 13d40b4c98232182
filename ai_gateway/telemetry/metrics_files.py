"""Room for the files that a worker counts in, taken before it counts.

They are mapped into memory: where the disk has no room for a page that is written, the kernel ends
the process. Files that never grow and have no holes cannot do that.
"""

import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

SERIES_BYTES = 4 * 2**20
"""More than the series of as many providers, models and operations take as there may be."""

FEW_BYTES = 64 * 2**10

ROOM = {
    "counter": SERIES_BYTES,
    "histogram": SERIES_BYTES,
    "summary": FEW_BYTES,
    "gauge_livesum": FEW_BYTES,
    "gauge_livemax": FEW_BYTES,
    "gauge_livemin": FEW_BYTES,
}
"""By what the library names its files after: kind, and for a gauge how it is merged."""


def take_room(folder: Path, slot: int) -> bool:
    """Whether the files of a slot have all the room that they will need; it is theirs then."""
    made = []
    try:
        for kind, size in ROOM.items():
            file = folder / f"{kind}_{slot}.db"
            if not file.exists():
                made.append(file)
            _allocate(file, size)
    except OSError as error:
        logger.error("worker_is_not_counted", extra={"slot": slot, "reason": error.strerror})
        for file in made:
            file.unlink(missing_ok=True)
        return False
    return True


def _allocate(file: Path, size: int) -> None:
    """Let a file have this size and no holes; what is in it stays."""
    with file.open("ab") as opened:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(opened.fileno(), 0, size)
        else:
            opened.truncate(max(size, opened.tell()))
