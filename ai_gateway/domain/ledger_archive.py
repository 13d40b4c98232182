"""What is known of a file with old ledger entries: enough to trust it, and to account for it."""

from dataclasses import dataclass
from datetime import date, datetime

from ai_gateway.domain.money import Money


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One ledger entry as a line of a file; the rest is in the line too."""

    entry_id: int
    admitted_at: datetime
    seq: int
    cost: Money
    text: bytes


@dataclass(frozen=True, slots=True)
class Archive:
    """A file with entries of one day; `last_seq` is the highest number among them."""

    name: str
    day: date
    sha256: str
    size_bytes: int
    entries: int
    cost: Money
    last_seq: int


@dataclass(frozen=True, slots=True)
class OldEntries:
    """How many entries are old, and the first and last of their moments, if there are any."""

    count: int
    first: datetime | None
    last: datetime | None
