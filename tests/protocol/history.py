"""What each process was told, written down as it happens; a line outlives `kill -9`."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import orjson

Word = Literal[
    "asked",  # a hold is asked for
    "granted",  # it stands, at `amount`
    "denied",  # there is no room for it
    "unavailable",  # nobody knows whether it stands
    "taken_back",  # what nobody knew of is closed
    "ended",  # the call cost `amount`, and that is to be booked
    "booked",  # it is
    "reset",  # `amount` was taken off an account
]


@dataclass(frozen=True, slots=True)
class Told:
    """One line: who was told what of which call or reset."""

    who: str
    word: Word
    name: str
    amount: int = 0


class History:
    """One process's lines."""

    def __init__(self, folder: Path, who: str) -> None:
        self._who = who
        self._file = os.open(folder / f"{who}.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(self, word: Word, name: str, amount: int = 0) -> None:
        """Write a line at once and whole."""
        line = Told(self._who, word, name, amount)
        os.write(self._file, orjson.dumps(asdict(line)) + b"\n")


def has_word(folder: Path, word: Word) -> bool:
    """Whether any process was told this by now."""
    return any(f'"{word}"'.encode() in path.read_bytes() for path in folder.glob("*.jsonl"))


def read_all(folder: Path) -> list[Told]:
    """The lines of all processes, each one's in its own order."""
    return list(_lines(folder))


def _lines(folder: Path) -> Iterator[Told]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield Told(**orjson.loads(line))
