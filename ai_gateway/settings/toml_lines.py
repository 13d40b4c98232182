"""On which line of a TOML file a table or a key stands; `tomllib` does not say.

A plain scan for headers and for `key =` at the start of a line. What it cannot find (a key inside
of an inline table) gets the line of the nearest table or key around it.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable

Path = tuple[str | int, ...]
"""Keys from the top of the file; a table of an array is followed by its number, from 0."""

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_ASSIGNMENT = re.compile(rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*=")
_SYNTAX_FAULT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


class TomlLines:
    """Where the keys of one file stand."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        header: Path = ()
        for number, line in enumerate(text.split("\n"), start=1):
            if line.lstrip().startswith("["):
                header = self._header(line.strip()) or header
                self._note(header, number)
            elif match := _ASSIGNMENT.match(line):
                keys, _ = _keys(f"{match[1]} = 0")
                self._note((*header, *keys), number)

    def of(self, path: Path) -> int:
        """The line of a key, else that of the nearest table around it, else the first."""
        for end in range(len(path), 0, -1):
            if path[:end] in self._lines:
                return self._lines[path[:end]]
        return 1

    def _header(self, line: str) -> Path | None:
        """The path of `[a.b]` or `[[a.b]]`; the last table of each array is meant."""
        keys, is_array = _keys(line)
        if not keys:
            return None
        path: Path = ()
        for key in keys[:-1]:
            path = (*path, key)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        path = (*path, keys[-1])
        if is_array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = (*path, self._arrays[path])
        return path

    def _note(self, path: Path, number: int) -> None:
        for end in range(1, len(path) + 1):
            self._lines.setdefault(path[:end], number)


def split_syntax_fault(message: str, text: str) -> tuple[int, str]:
    """Take the line out of a message of `tomllib`."""
    match = _SYNTAX_FAULT.search(message)
    number = int(match[1]) if match and match[1] else len(text.rstrip("\n").split("\n"))
    return number, _SYNTAX_FAULT.sub("", message)


def first_line_beyond(text: str, is_beyond: Callable[[str], bool]) -> int:
    """The line up to which a text is still read, for a fault that stays whatever comes after it."""
    lines = text.split("\n")
    read = bisect_left(range(len(lines)), 1, key=lambda end: is_beyond("\n".join(lines[:end])))
    return max(1, read)


def _keys(line: str) -> tuple[Path, bool]:
    """The keys of a header or an assignment, and whether a table of an array begins."""
    try:
        value: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return (), False
    keys: list[str] = []
    while isinstance(value, dict) and value:
        key, value = next(iter(value.items()))
        keys.append(key)
    return tuple(keys), isinstance(value, list)
