"""The raw history of a figure: what clients were told, what was done to the gateway, what was
booked; compressed in the end, with a digest by which the docs name it.
"""

import gzip
import json
import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from tests.faults.history import End, History


@dataclass(frozen=True, slots=True)
class RawFile:
    """Where a history is; the digest is that of the lines, uncompressed."""

    name: str
    lines: int
    sha256: str


class Record(History):
    """A history that also has what happened beside the calls; `answered` counts those with 200."""

    answered = 0

    def note(
        self, key_id: str, status: int, end: End, *, request_id: str | None, seconds: float
    ) -> None:
        super().note(key_id, status, end, request_id=request_id, seconds=seconds)
        with self._lock:
            self.answered += status == 200

    def event(self, what: str, **facts: object) -> None:
        """Write down what was done, or seen."""
        line = {"event": what, "at": round(time.time(), 3), **facts}
        with self._lock:
            os.write(self._file, json.dumps(line).encode() + b"\n")

    def rows(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Write down what the ledger has."""
        lines = [json.dumps({"event": "booked", **row}).encode() + b"\n" for row in rows]
        with self._lock:
            os.write(self._file, b"".join(lines))

    def finish(self) -> RawFile:
        """Close and compress it."""
        self.close()
        packed = self.path.with_name(f"{self.path.name}.gz")
        # Without a time and a name in its head, the same lines make the same file.
        with (
            self.path.open("rb") as lines,
            packed.open("wb") as out,
            gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as zipped,
        ):
            shutil.copyfileobj(lines, zipped)
        text = self.path.read_bytes()
        self.path.unlink()
        return RawFile(packed.name, text.count(b"\n"), sha256(text).hexdigest())
