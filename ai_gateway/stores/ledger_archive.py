"""Old ledger entries on their way out of SQL: read as lines of a file, and removed when it is safe.

Only entries of calls leave. Adjustments stay: they are few, and tell a repeated reset from a new
one. The account totals and all roll-ups stay too, so that no sum of any page changes.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Engine, Row, delete, func, select, tuple_, update

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.ledger_archive import Archive, EntryLine, OldEntries
from ai_gateway.domain.money import Money
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.rollups import CALL
from ai_gateway.stores.sql import table_of, transaction
from ai_gateway.stores.tables import LedgerEntry
from ai_gateway.stores.task_tables import LedgerArchiveRow

_ENTRY = table_of(LedgerEntry).c


class LedgerArchive:
    """Each method is one short transaction; raises `GatewayUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")

    def old(self, before: datetime) -> OldEntries:
        """The entries that were admitted before a moment; reads them all."""
        query = select(
            func.count(), func.min(_ENTRY.admitted_at), func.max(_ENTRY.admitted_at)
        ).where(_ENTRY.kind == CALL, _ENTRY.admitted_at < before)
        with transaction(self._engine) as session:
            return OldEntries(*session.execute(query).one())

    def oldest(self, before: datetime) -> datetime | None:
        """When the first of them was admitted; None where there is none."""
        query = select(_ENTRY.admitted_at).where(_ENTRY.kind == CALL, _ENTRY.admitted_at < before)
        with transaction(self._engine) as session:
            return session.scalar(query.order_by(_ENTRY.admitted_at, _ENTRY.id).limit(1))

    def lines(
        self, since: datetime, until: datetime, *, after: EntryLine | None, most: int
    ) -> list[EntryLine]:
        """The entries of a span in the order of admission, those after one of them."""
        where: list[ColumnElement[bool]] = [_ENTRY.admitted_at >= since, _ENTRY.admitted_at < until]
        if after is not None:
            place = tuple_(_ENTRY.admitted_at, _ENTRY.id)
            where.append(place > tuple_(after.admitted_at, after.entry_id))
        return self._read(where, most)

    def lines_of(self, ids: Sequence[int]) -> list[EntryLine]:
        """Some entries, in the same order; those that are gone are left out."""
        return self._read([_ENTRY.id.in_(ids)], len(ids))

    def record(self, archive: Archive, at: datetime, entry: AuditEntry) -> None:
        """Note a verified file, with its line of the audit; its entries may be removed now."""
        row = LedgerArchiveRow(
            name=archive.name,
            day=archive.day.isoformat(),
            sha256=archive.sha256,
            size_bytes=archive.size_bytes,
            entries=archive.entries,
            cost_nano_usd=archive.cost,
            last_seq=archive.last_seq,
            written_at=at,
        )
        with transaction(self._writing) as session:
            session.add_all([row, row_of(entry)])

    def unfinished(self) -> list[Archive]:
        """The files whose entries are not all removed yet, the oldest first."""
        query = select(LedgerArchiveRow).where(LedgerArchiveRow.removed_at.is_(None))
        with transaction(self._engine) as session:
            return [_archive(row) for row in session.scalars(query.order_by(LedgerArchiveRow.id))]

    def remove(self, name: str, ids: Sequence[int]) -> int:
        """Remove entries that are in a file; returns how many were still there."""
        removed = delete(LedgerEntry).where(_ENTRY.id.in_(ids)).returning(_ENTRY.cost_nano_usd)
        with transaction(self._writing) as session:
            costs = list(session.scalars(removed))
            session.execute(
                update(LedgerArchiveRow)
                .where(LedgerArchiveRow.name == name)
                .values(
                    removed_entries=LedgerArchiveRow.removed_entries + len(costs),
                    removed_cost_nano_usd=LedgerArchiveRow.removed_cost_nano_usd + sum(costs),
                )
            )
        return len(costs)

    def finish(self, name: str, at: datetime) -> None:
        """Note that all entries of a file are removed."""
        row = update(LedgerArchiveRow).where(LedgerArchiveRow.name == name)
        with transaction(self._writing) as session:
            session.execute(row.values(removed_at=at))

    def _read(self, where: Sequence[ColumnElement[bool]], most: int) -> list[EntryLine]:
        query = select(LedgerEntry.__table__).where(_ENTRY.kind == CALL, *where)
        with transaction(self._engine) as session:
            rows = session.execute(query.order_by(_ENTRY.admitted_at, _ENTRY.id).limit(most))
            return [_line(row) for row in rows]


def _line(row: Row[Any]) -> EntryLine:
    facts = {name: _in_utc(value) for name, value in row._mapping.items()}  # noqa: SLF001 - SQLAlchemy's public name
    return EntryLine(
        entry_id=row.id,
        admitted_at=row.admitted_at,
        seq=row.seq,
        cost=Money(row.cost_nano_usd),
        text=orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE),
    )


def _in_utc(value: object) -> object:
    # PostgreSQL answers in the zone of the connection.
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _archive(row: LedgerArchiveRow) -> Archive:
    return Archive(
        name=row.name,
        day=date.fromisoformat(row.day),
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        entries=row.entries,
        cost=Money(row.cost_nano_usd),
        last_seq=row.last_seq,
    )
