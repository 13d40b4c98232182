"""What is fuzzed: a reader, what has to hold of it for any bytes, and bytes to begin with."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Choice = TypeVar("Choice")
_CASES = Path(__file__).parents[2] / "data" / "metering_cases.jsonl"


@dataclass(frozen=True, slots=True)
class Target:
    """`check` raises for bytes that the reader gets wrong. `signs` are worth trying anywhere."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    signs: tuple[bytes, ...] = ()


class Tape:
    """Bytes as choices, one after another; zeros where they have ended."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def has_ended(self) -> bool:
        return self._at >= len(self._data)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        return choices[self.byte() % len(choices)]

    def rest(self) -> bytes:
        self._at, rest = len(self._data), self._data[self._at :]
        return rest


def metering_cases(kind: str) -> Iterator[dict[str, Any]]:
    """The recorded answers of one kind, which the tests of metering read."""
    for line in _CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["response_kind"] == kind:
            yield case
