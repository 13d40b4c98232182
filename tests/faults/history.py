"""What every client was told, written down as it happens; a line outlives whoever wrote it."""

import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

End = Literal["whole", "error", "broken", "left", "nothing"]
"""How an answer ended for its client: with its last event, with an error event or an error, broken
off, left by the client, or without a byte of it."""


@dataclass(frozen=True, slots=True)
class Told:
    """One call, as its client saw it; without `request_id` no header ever came."""

    scenario: str
    key_id: str
    status: int
    end: End
    request_id: str | None = None
    seconds: float = 0.0
    at: float = 0.0


class History:
    """The lines of one run, kept in a file and in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scenario = ""
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        self._lock = threading.Lock()
        self._lines: list[Told] = []

    def note(
        self, key_id: str, status: int, end: End, *, request_id: str | None, seconds: float
    ) -> None:
        """Write what one client was told."""
        told = Told(
            self.scenario, key_id, status, end, request_id, round(seconds, 4), round(time.time(), 3)
        )
        with self._lock:
            self._lines.append(told)
            os.write(self._file, json.dumps(asdict(told)).encode() + b"\n")

    def of(self, scenario: str) -> Iterator[Told]:
        """What the clients of one scenario were told."""
        with self._lock:
            return iter([told for told in self._lines if told.scenario == scenario])

    def close(self) -> None:
        os.close(self._file)
