"""Reads the ledger for export, oldest first, in small pieces: memory does not grow with it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.stores.rollups import CALL
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import LedgerEntry, User

ROWS_AT_ONCE = 1_000

Row = dict[str, Any]

COLUMNS = (
    *("request_id", "admitted_at", "settled_at", "user", "key_prefix"),
    *("provider", "model_requested", "model", "served_model", "operation", "stream"),
    *("outcome", "usage_status", "confidence", "price_status"),
    *(name for name in TALLY_FIELDS if name not in {"requests", "latency_ms"}),
    *("cost_nano_usd", "held_nano_usd", "price_row", "price_book"),
    *("latency_ms", "ttft_ms", "raw_usage"),
)


class LedgerExport:
    """Calls, their entries summed; or the entries themselves, adjustments included."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self, start: datetime | None, end: datetime | None) -> Iterator[Row]:
        """One row for each call that was admitted in [start, end)."""
        call: Row | None = None
        for entry in self._rows(_between(_query().where(LedgerEntry.kind == CALL), start, end)):
            if call is not None and call["request_id"] == entry["request_id"]:
                call = added(call, entry)
                continue
            if call is not None:
                yield export_row(call)
            call = entry
        if call is not None:
            yield export_row(call)

    def entries(self, start: datetime | None, end: datetime | None) -> Iterator[Row]:
        """One row for each entry; costs and counts are differences."""
        for entry in self._rows(_between(_query(), start, end)):
            yield {"entry_no": entry["entry_no"], "kind": entry["kind"], **export_row(entry)}

    def _rows(self, query: Select[Any]) -> Iterator[Row]:
        with transaction(self._engine) as session:
            options = {"yield_per": ROWS_AT_ONCE}
            for row in session.execute(query, execution_options=options).mappings():
                yield dict(row)


def _query() -> Select[Any]:
    # Entries of one call have its moment of admission, so that they come one after the other.
    return (
        select(LedgerEntry.__table__, User.username)
        .outerjoin(User, User.id == LedgerEntry.user_id)
        .order_by(LedgerEntry.admitted_at, LedgerEntry.request_id, LedgerEntry.entry_no)
    )


def _between(query: Select[Any], start: datetime | None, end: datetime | None) -> Select[Any]:
    if start is not None:
        query = query.where(LedgerEntry.admitted_at >= start)
    return query if end is None else query.where(LedgerEntry.admitted_at < end)


def added(call: Row, entry: Row) -> Row:
    """Add the differences; every word is the last entry's, which knows best."""
    sums = {name: call[name] + entry[name] for name in (*TALLY_FIELDS, "cost_nano_usd")}
    return entry | sums


def export_row(row: Row) -> Row:
    """The columns of an export, in their order."""
    named = {"user": row["username"] or f"#{row['user_id']}", "key_prefix": row["key_id"]}
    return {name: named[name] if name in named else row[name] for name in COLUMNS}
