"""The last calls, from the ledger by its indexes; never more of them than were asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from sqlalchemy import Row, select, tuple_

from ai_gateway.domain.money import Money
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import LedgerEntry, User, db


@dataclass(frozen=True, slots=True, order=True)
class CallPosition:
    """Where a call stands in the list: newest first, ties by the id of its first entry."""

    admitted_at: datetime
    entry_id: int


@dataclass(frozen=True, slots=True)
class RecentCall:
    """One call as the ledger knows it: its entries summed, the words of the last one."""

    request_id: str
    admitted_at: datetime
    user_id: int
    username: str | None
    provider: str
    model: str
    outcome: str
    confidence: str
    price_status: str
    input_tokens: int
    output_tokens: int
    cost: Money
    latency_ms: int
    ttft_ms: int | None
    stream: bool
    position: CallPosition


class RecentCalls:
    """Reads one page at a time by keyset, so that a deep page costs what the first one does."""

    @translated_errors()
    def newest(
        self, count: int, *, before: CallPosition | None = None, user_id: int | None = None
    ) -> tuple[RecentCall, ...]:
        """The calls that were admitted last, newest first; of one user, or of all."""
        newest = (
            select(LedgerEntry.request_id)
            # Only the first entry of a call counts a request; an adjustment counts none.
            .where(LedgerEntry.requests > 0)
            .order_by(LedgerEntry.admitted_at.desc(), LedgerEntry.id.desc())
            .limit(count)
        )
        if user_id is not None:
            newest = newest.where(LedgerEntry.user_id == user_id)
        if before is not None:
            place = tuple_(LedgerEntry.admitted_at, LedgerEntry.id)
            newest = newest.where(place < tuple_(before.admitted_at, before.entry_id))
        query = (
            select(LedgerEntry, User.username)
            .outerjoin(User, User.id == LedgerEntry.user_id)
            .where(LedgerEntry.request_id.in_(newest))
            .order_by(LedgerEntry.request_id, LedgerEntry.entry_no)
        )
        found = groupby(db.session.execute(query), key=lambda row: row[0].request_id)
        calls = [_read_call(list(rows)) for _, rows in found]
        return tuple(sorted(calls, key=lambda call: call.position, reverse=True))


def _read_call(rows: Sequence[Row[LedgerEntry, str]]) -> RecentCall:
    """`rows` are the entries of one call in order, with the name of its user."""
    entries = [entry for entry, _ in rows]
    last = entries[-1]
    return RecentCall(
        request_id=last.request_id,
        admitted_at=last.admitted_at,
        user_id=last.user_id,
        username=rows[0][1],
        provider=last.provider,
        model=last.model,
        outcome=last.outcome,
        confidence=last.confidence,
        price_status=last.price_status,
        input_tokens=sum(entry.input_tokens for entry in entries),
        output_tokens=sum(entry.output_tokens for entry in entries),
        cost=Money(sum(entry.cost_nano_usd for entry in entries)),
        latency_ms=sum(entry.latency_ms for entry in entries),
        ttft_ms=entries[0].ttft_ms,
        stream=last.stream,
        position=CallPosition(entries[0].admitted_at, entries[0].id),
    )
