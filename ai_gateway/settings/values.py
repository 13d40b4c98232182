"""Values that settings are made of: what is wrong with them, and what must not be printed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

DialectWord = Literal["openai", "anthropic", "azure"]


class SettingsError(Exception):
    """A variable or the operator's file is wrong; the message is the one line to be read."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is never printed: `str()` and `repr()` show a mask."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "********"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A provider that the operator switched on.

    `preset` names the row of the registry that it starts from; None is a provider of which only
    the wire format is known. Without a `base_url` it is called at the vendor's address. The key is
    read again from its file, where it stands in one.
    """

    name: str
    preset: str | None
    dialect: DialectWord
    base_url: str | None
    api_key: Secret | None
    api_key_file: Path | None = None
