"""All that the ledger keeps of one call: its entries with their words, and how it was charged."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from ai_gateway.domain.call import USAGE_FIELDS
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import Usage
from ai_gateway.domain.working import Working
from ai_gateway.stores.rollups import CALL
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import LedgerEntry, User, db
from ai_gateway.stores.workings import read_working


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """One entry: what it added to the cost and to the counts, and the words as they were then."""

    entry_no: int
    cost: Money
    total_after: Money
    usage: Usage
    outcome: str
    usage_status: str
    confidence: str
    price_status: str
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class OneCall:
    """The call as a whole; the words are those of its last entry. `working` is None without one."""

    request_id: str
    provider_id: str | None
    user_id: int
    username: str | None
    key_id: str
    provider: str
    model_requested: str
    model: str
    served_model: str
    operation: str
    stream: bool
    price_row: str
    price_book: str
    held: Money
    raw_usage: str | None
    working: Working | None
    ttft_ms: int | None
    latency_ms: int
    admitted_at: datetime
    entries: tuple[BookedEntry, ...]

    @property
    def last(self) -> BookedEntry:
        return self.entries[-1]

    @property
    def cost(self) -> Money:
        return Money(sum(entry.cost for entry in self.entries))

    @property
    def usage(self) -> Usage:
        return sum((entry.usage for entry in self.entries), Usage())


class CallLookup:
    """Reads only; raises `GatewayUnavailable`."""

    @translated_errors()
    def find(self, request_id: str, user_id: int | None = None) -> OneCall | None:
        """The call of a request id; that of another user than `user_id` is none."""
        query = (
            select(LedgerEntry, User.username)
            .outerjoin(User, User.id == LedgerEntry.user_id)
            .where(LedgerEntry.request_id == request_id, LedgerEntry.kind == CALL)
            .order_by(LedgerEntry.entry_no)
        )
        if user_id is not None:
            query = query.where(LedgerEntry.user_id == user_id)
        rows = db.session.execute(query).all()
        return _read([row for row, _ in rows], rows[0][1]) if rows else None

    @translated_errors()
    def by_provider_id(self, provider_id: str) -> str | None:
        """The request id of the newest call whose answer the provider named so."""
        query = (
            select(LedgerEntry.request_id)
            .where(LedgerEntry.provider_id == provider_id)
            .order_by(LedgerEntry.id.desc())
            .limit(1)
        )
        return db.session.scalar(query)


def _read(rows: list[LedgerEntry], username: str | None) -> OneCall:
    first, last = rows[0], rows[-1]
    return OneCall(
        request_id=last.request_id,
        provider_id=last.provider_id,
        user_id=last.user_id,
        username=username,
        key_id=last.key_id,
        provider=last.provider,
        model_requested=last.model_requested,
        model=last.model,
        served_model=last.served_model,
        operation=last.operation,
        stream=last.stream,
        price_row=last.price_row,
        price_book=last.price_book,
        held=Money(last.held_nano_usd),
        raw_usage=last.raw_usage,
        working=read_working(last.working),
        ttft_ms=next((row.ttft_ms for row in rows if row.ttft_ms is not None), None),
        latency_ms=sum(row.latency_ms for row in rows),
        admitted_at=first.admitted_at,
        entries=tuple(map(_entry, rows)),
    )


def _entry(row: LedgerEntry) -> BookedEntry:
    return BookedEntry(
        entry_no=row.entry_no,
        cost=Money(row.cost_nano_usd),
        total_after=Money(row.total_after_nano_usd),
        usage=Usage(**{name: getattr(row, name) for name in USAGE_FIELDS}),
        outcome=row.outcome,
        usage_status=row.usage_status,
        confidence=row.confidence,
        price_status=row.price_status,
        settled_at=row.settled_at,
    )
