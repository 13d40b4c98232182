"""Typed look-ups in a TOML file; each fault is one line with the file's name and the line number.

A value is shown only where it cannot be a secret.
"""

import json
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from ai_gateway.settings.toml_lines import Path, TomlLines, first_line_beyond, split_syntax_fault
from ai_gateway.settings.values import SettingsError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BEYOND_THE_PARSER = (RecursionError, ValueError)
"""What it raises where the syntax is right; it tells no line then."""


class Table:
    """One table of the file."""

    def __init__(
        self, file: str, lines: TomlLines, path: Path, members: Mapping[str, object]
    ) -> None:
        self._file = file
        self._lines = lines
        self._path = path
        self._members = members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __contains__(self, key: str) -> bool:
        return key in self._members

    @property
    def name(self) -> str:
        return str(self._path[-1])

    def fault(self, message: str, key: str | None = None) -> SettingsError:
        """What is wrong with this table, or with one of its keys."""
        line = self._lines.of(self._path if key is None else (*self._path, key))
        where = ".".join(shown_key(part) for part in self._path if isinstance(part, str))
        return SettingsError(f"{self._file}, line {line}: {where}{': ' * bool(where)}{message}")

    def refuse_unknown(self, words: Collection[str]) -> None:
        for key in self:
            if key not in words:
                raise self.fault(f"{shown_key(key)} is unknown; {near(key, words)}", key)

    def text(self, key: str) -> str | None:
        """A string with something in it; None where the key is absent."""
        value = self._members.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.fault(f"{shown_key(key)} has to be a string with something in it", key)
        return value

    def required_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise self.fault(f"{shown_key(key)} is missing")
        return value

    def whole_number(self, key: str, *, high: int) -> int | None:
        """A number from 1 to `high`; None where the key is absent."""
        value = self._members.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
            raise self.fault(f"{shown_key(key)} has to be a whole number from 1 to {high}", key)
        return value

    def boolean(self, key: str) -> bool:
        """True or false; false where the key is absent."""
        value = self._members.get(key, False)
        if not isinstance(value, bool):
            raise self.fault(f"{shown_key(key)} has to be true or false", key)
        return value

    def number(self, key: str) -> int | Decimal | None:
        """A bare number, where a string is wanted; for a message about it."""
        value = self._members.get(key)
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return value if is_number and isinstance(value, int | Decimal) else None

    def table(self, key: str) -> "Table":
        """A table inside; an empty one where the key is absent."""
        value = self._members.get(key, {})
        if not isinstance(value, dict):
            raise self.fault(f"{shown_key(key)} has to be a table", key)
        return Table(self._file, self._lines, (*self._path, key), value)

    def array(self, key: str) -> "list[Table]":
        """The tables of `[[key]]`; none where the key is absent."""
        value = self._members.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fault(f"write [[{key}]] before each of its tables", key)
        return [
            Table(self._file, self._lines, (*self._path, key, number), item)
            for number, item in enumerate(value)
        ]


def parse(file: str, text: str) -> Table:
    """The whole file as a table; raises `SettingsError` for what is no TOML."""
    try:
        members = _loaded(text)
    except tomllib.TOMLDecodeError as error:
        line, message = split_syntax_fault(str(error), text)
        raise SettingsError(f"{file}, line {line}: this is no TOML: {message}") from error
    except _BEYOND_THE_PARSER as error:
        line = first_line_beyond(text, _is_beyond_the_parser)
        raise SettingsError(
            f"{file}, line {line}: nested too deep, or too long a number"
        ) from error
    return Table(file, TomlLines(text), (), members)


def _loaded(text: str) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=_decimal)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


def _is_beyond_the_parser(text: str) -> bool:
    try:
        _loaded(text)
    except tomllib.TOMLDecodeError:
        return False
    except _BEYOND_THE_PARSER:
        return True
    return False


def near(word: str, known: Collection[str]) -> str:
    """What was meant by an unknown word, or what could be."""
    found = get_close_matches(word, known, n=1)
    return f"did you mean {found[0]}?" if found else f"known are {', '.join(known)}"


def shown_key(key: str) -> str:
    """A key as it has to be written, on one line."""
    return key if _BARE_KEY.fullmatch(key) else shown(key)


def shown(value: str) -> str:
    """A string as it has to be written, on one line."""
    return json.dumps(value, ensure_ascii=False)
