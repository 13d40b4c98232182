"""What the outbox carries to the ledger: differences booked for calls."""

from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One difference of one call, with the words that go into the ledger beside it.

    `tally` holds differences by the names of `TALLY_FIELDS`; `cost` is a difference, `total` is the
    cost of the whole call after it. `overhead_us` is the gateway's own time, kept in no ledger row.
    """

    stream_id: str
    kind: str
    request_id: str
    entry_no: int
    seq: int
    cost: Money
    total: Money
    tally: dict[str, int]
    accounts: tuple[Account, ...]
    words: dict[str, str | int | bool | None]
    admitted_at: datetime
    settled_at: datetime
    overhead_us: int | None = None


@dataclass(frozen=True, slots=True)
class UnreadableEntry:
    """An entry that cannot be understood; it is kept whole, never dropped."""

    stream_id: str
    reason: str
    payload: str
