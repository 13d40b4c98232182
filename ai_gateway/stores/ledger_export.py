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

_COUNTS = tuple(name for name in TALLY_FIELDS if name not in {"requests", "latency_ms"})


class LedgerExport:
    """Calls, their entries summed; or the entries themselves, adjustments included."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def calls(self, start: datetime | None, end: datetime | None) -> Iterator[Row]:
        """One row for each call that was admitted in [start, end)."""
        call: Row | None = None
        for entry in self._rows(_between(_query().where(LedgerEntry.kind == CALL), start, end)):
            if call is not None and call["request_id"] == entry["request_id"]:
                call = _added(call, entry)
                continue
            if call is not None:
                yield _shown(call)
            call = entry
        if call is not None:
            yield _shown(call)

    def entries(self, start: datetime | None, end: datetime | None) -> Iterator[Row]:
        """One row for each entry; costs and counts are differences."""
        for entry in self._rows(_between(_query(), start, end)):
            yield {"entry_no": entry["entry_no"], "kind": entry["kind"], **_shown(entry)}

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


def _added(call: Row, entry: Row) -> Row:
    """Add the differences; every word is the last entry's, which knows best."""
    sums = {name: call[name] + entry[name] for name in (*TALLY_FIELDS, "cost_nano_usd")}
    return entry | sums


def _shown(row: Row) -> Row:
    return {
        "request_id": row["request_id"],
        "admitted_at": row["admitted_at"],
        "settled_at": row["settled_at"],
        "user": row["username"] or f"#{row['user_id']}",
        "key_prefix": row["key_id"],
        "provider": row["provider"],
        "model_requested": row["model_requested"],
        "model": row["model"],
        "served_model": row["served_model"],
        "operation": row["operation"],
        "stream": row["stream"],
        "outcome": row["outcome"],
        "usage_status": row["usage_status"],
        "confidence": row["confidence"],
        "price_status": row["price_status"],
        **{name: row[name] for name in _COUNTS},
        "cost_nano_usd": row["cost_nano_usd"],
        "held_nano_usd": row["held_nano_usd"],
        "price_row": row["price_row"],
        "price_book": row["price_book"],
        "latency_ms": row["latency_ms"],
        "ttft_ms": row["ttft_ms"],
        "raw_usage": row["raw_usage"],
    }
