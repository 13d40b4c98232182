"""Files with old ledger entries: one JSON object a line, compressed, with a checksum beside it.

A file is named by its day and its content: to write the same again changes nothing, and nothing
else ever takes its place. What was not finished ends in `.part`.
"""

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from uuid import uuid4

import orjson

from ai_gateway.domain.ledger_archive import Archive, EntryLine
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.tasks import TaskFailed

PART = ".part"
NAMED_CHARACTERS = 12
"""So many of the checksum stand in the name; the whole of it is in SQL and beside the file."""


class Draft:
    """A file that is being written, and what is in it so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = 0
        self.cost = ZERO
        self.last_seq = 0
        self._raw = path.open("xb")
        # Without the time of writing, so that the same entries make the same file.
        self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0)

    def add(self, lines: Sequence[EntryLine]) -> None:
        with _translated(self.path):
            self._file.writelines(line.text for line in lines)
        self.entries += len(lines)
        self.cost = Money(self.cost + sum(line.cost for line in lines))
        self.last_seq = max(self.last_seq, *(line.seq for line in lines))

    def close(self) -> None:
        """Let all of it be on the disk; once more does nothing."""
        if self._raw.closed:
            return
        with _translated(self.path), self._raw:
            self._file.close()
            self._raw.flush()
            os.fsync(self._raw.fileno())


class ArchiveFiles:
    """The folder of the files; raises `TaskFailed` where it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """A file to write; what was not published is gone at the end."""
        with _translated(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = Draft(self.folder / f"{uuid4().hex}{PART}")
        try:
            yield draft
        finally:
            draft.close()
            draft.path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove what one that was killed left unfinished."""
        with _translated(self.folder):
            for path in self.folder.glob(f"*{PART}"):
                path.unlink(missing_ok=True)

    def publish(self, draft: Draft, day: date) -> Archive:
        """Give a closed draft its name, with its checksum beside it."""
        with _translated(draft.path):
            sha256 = _sha256(draft.path)
            name = f"ledger-{day.isoformat()}-{sha256[:NAMED_CHARACTERS]}.jsonl.gz"
            size_bytes = draft.path.stat().st_size
            draft.path.chmod(0o400)
            draft.path.replace(self.folder / name)
            # As `sha256sum --check` reads it.
            (self.folder / f"{name}.sha256").write_text(f"{sha256}  {name}\n", encoding="ascii")
            _sync(self.folder)
        return Archive(name, day, sha256, size_bytes, draft.entries, draft.cost, draft.last_seq)

    def check(self, archive: Archive) -> None:
        """Raises `TaskFailed` where a file is not there, or is not what it was."""
        path = self.folder / archive.name
        with _translated(path):
            found = _sha256(path)
        if found != archive.sha256:
            raise TaskFailed(f"{path} is not what was written: its checksum differs")

    def lines(self, name: str, most: int) -> Iterator[list[bytes]]:
        """The lines of a file, some at a time."""
        path = self.folder / name
        with _translated(path), gzip.open(path) as file:
            while lines := list(islice(file, most)):
                yield lines


def entry_ids(lines: Sequence[bytes]) -> list[int]:
    """Which entries lines are of."""
    return [int(orjson.loads(line)["id"]) for line in lines]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    """Let the names in a folder be on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, zlib.error, orjson.JSONDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TaskFailed(f"{path}: {reason}") from error
