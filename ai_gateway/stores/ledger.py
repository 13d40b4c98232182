"""The append-only ledger in SQL, with its roll-ups: exactly once by construction.

One transaction writes the rows, the roll-ups, the account totals and the position in the outbox
(money.md 1.7). The position is moved by compare-and-set: a bookkeeper that was slower rolls back.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, case, func, or_, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, StatementError
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Account, Window, window_start
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores import rollups
from ai_gateway.stores.account_totals import AccountTotals
from ai_gateway.stores.outbox import FIRST_POSITION
from ai_gateway.stores.outbox_tables import OutboxPosition, SetAsideEntry
from ai_gateway.stores.rollup_tables import (
    LatencyBucket,
    LatencyDay,
    ModelDay,
    ModelHour,
    OutcomeHour,
    UsageHour,
)
from ai_gateway.stores.rollups import CALL
from ai_gateway.stores.sql import insert_into, table_of, transaction
from ai_gateway.stores.tables import AccountTotal, Base, LedgerEntry
from ai_gateway.stores.task_tables import LedgerArchiveRow

Batch = Sequence[OutboxEntry | UnreadableEntry]
Row = dict[str, Any]


class AnotherBookkeeperWasFaster(Exception):
    """The position had moved: nothing was written, read it again."""


class UnbookableBatch(Exception):
    """The database refuses an entry of the batch for what it holds; nothing was written."""


class Ledger:
    """Books batches of outbox entries; opens its own short sessions. `totals` reads accounts."""

    def __init__(self, engine: Engine, zone: ZoneInfo) -> None:
        # A transaction that began by reading could not be upgraded under another writer.
        self._engine = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._zone = zone
        self.totals = AccountTotals(engine)

    def position(self) -> str:
        """The id of the last entry booked; made at the first call."""
        with transaction(self._engine) as session:
            row = session.get(OutboxPosition, 1)
            if row is not None:
                return row.stream_id
            first = insert_into(self._engine, OutboxPosition).values(id=1, stream_id=FIRST_POSITION)
            # Two bookkeepers may come here at once.
            session.execute(first.on_conflict_do_nothing())
            return FIRST_POSITION

    def last_seq(self) -> int:
        """The highest sequence number that was ever booked, in the archive too."""
        booked = select(func.max(LedgerEntry.seq)).scalar_subquery()
        archived = select(func.max(LedgerArchiveRow.last_seq)).scalar_subquery()
        with transaction(self._engine) as session:
            return max(seq or 0 for seq in session.execute(select(booked, archived)).one())

    def book(self, batch: Batch, *, after: str, now: datetime) -> int:
        """Write a batch and move the position from `after`; returns how many were set aside.

        Raises `AnotherBookkeeperWasFaster`, `UnbookableBatch` or `GatewayUnavailable`, and then has
        written nothing.
        """
        try:
            return self._book(batch, after, now)
        except (IntegrityError, DataError) as error:
            raise UnbookableBatch from error
        except DBAPIError as error:
            # Read-only, no right, a column that is not there yet: not the fault of an entry, so
            # that none may be set aside for it.
            raise GatewayUnavailable from error
        except (StatementError, OverflowError) as error:
            # A value that cannot be sent to the database at all.
            raise UnbookableBatch from error

    def _book(self, batch: Batch, after: str, now: datetime) -> int:
        entries = [entry for entry in batch if isinstance(entry, OutboxEntry)]
        aside = [_aside_row(entry, now) for entry in batch if isinstance(entry, UnreadableEntry)]
        today = window_start(Window.DAY, now, self._zone)
        is_late = any(entry.admitted_at < today for entry in entries)
        with transaction(self._engine) as session:
            moved = session.execute(
                update(OutboxPosition)
                .where(OutboxPosition.id == 1, OutboxPosition.stream_id == after)
                .values(
                    stream_id=batch[-1].stream_id,
                    late_bookings=OutboxPosition.late_bookings + int(is_late),
                )
            )
            if moved.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult has it
                raise AnotherBookkeeperWasFaster
            new, repeated = self._insert_entries(session, entries)
            aside += _conflicts(session, repeated, now)
            self._add_up(session, new)
            for row in aside:
                session.merge(SetAsideEntry(**row))
        return len(aside)

    def mark_refused(self, refused: Sequence[Account], windows: Sequence[str]) -> None:
        """Mirror which accounts of the open windows were refused last."""
        with transaction(self._engine) as session:
            marked = session.scalars(
                select(AccountTotal).where(
                    AccountTotal.window_id.in_(list(windows)), AccountTotal.is_refused
                )
            )
            known = {(row.scope, row.subject_id, row.window_id): row for row in marked}
            wanted = {
                (a.scope.value, a.subject_id, a.window_id)
                for a in refused
                if a.window_id in windows
            }
            for key, row in known.items():
                row.is_refused = key in wanted
            rows = [
                rollups.account_row(key) | {"is_refused": True} for key in wanted - known.keys()
            ]
            self._upsert(session, AccountTotal, rows, lambda new: {"is_refused": new.is_refused})

    def total_cost(self) -> Money:
        """The sum of every call's entries, those in the archive too, without adjustments."""
        booked = select(func.sum(LedgerEntry.cost_nano_usd)).where(LedgerEntry.kind == CALL)
        archived = select(func.sum(LedgerArchiveRow.removed_cost_nano_usd))
        both = select(booked.scalar_subquery(), archived.scalar_subquery())
        with transaction(self._engine) as session:
            # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
            return Money(sum(int(cost or 0) for cost in session.execute(both).one()))

    def cost_since(self, window: Window, moment: datetime) -> Money:
        """The cost of all calls admitted since the window that holds `moment` began."""
        start = window_start(window, moment, self._zone)
        total = select(func.coalesce(func.sum(ModelDay.cost_nano_usd), 0))
        with transaction(self._engine) as session:
            return Money(int(session.scalar(total.where(ModelDay.day >= start)) or 0))

    def _insert_entries(
        self, session: Session, entries: Sequence[OutboxEntry]
    ) -> tuple[list[OutboxEntry], list[OutboxEntry]]:
        """Insert what is not there yet; a replay brings entries a second time."""
        if not entries:
            return [], []
        table = table_of(LedgerEntry)
        statement = (
            insert_into(self._engine, LedgerEntry)
            .on_conflict_do_nothing(index_elements=["request_id", "entry_no"])
            .returning(table.c.request_id, table.c.entry_no)
        )
        first: dict[tuple[str, int], OutboxEntry] = {}
        for entry in entries:
            first.setdefault((entry.request_id, entry.entry_no), entry)
        rows = [_entry_row(entry) for entry in first.values()]
        written = {tuple(row) for row in session.execute(statement, rows)}
        new = {name: entry for name, entry in first.items() if name in written}
        repeated = [e for e in entries if new.get((e.request_id, e.entry_no)) is not e]
        return list(new.values()), repeated

    def _add_up(self, session: Session, entries: Sequence[OutboxEntry]) -> None:
        calls = [entry for entry in entries if entry.kind == CALL]
        for model, rows, sums in (
            (UsageHour, rollups.by_hour(calls, self._zone), rollups.HOUR_SUMS),
            (ModelHour, rollups.by_model_hour(calls, self._zone), rollups.HOUR_SUMS),
            (ModelDay, rollups.by_model_day(calls, self._zone), rollups.HOUR_SUMS),
            (LatencyBucket, rollups.by_latency_hour(calls, self._zone), ("count",)),
            (LatencyDay, rollups.by_latency_day(calls, self._zone), ("count",)),
            (OutcomeHour, self._by_outcome(session, calls), ("count",)),
        ):
            self._upsert(session, model, rows, _adding(model, sums))
        self._upsert(session, AccountTotal, rollups.by_account(entries), _moving_on)

    def _by_outcome(self, session: Session, calls: Sequence[OutboxEntry]) -> list[Row]:
        late = [call.request_id for call in calls if call.entry_no > 1]
        earlier = {(call.request_id, call.entry_no): str(call.words["outcome"]) for call in calls}
        if late:
            query = select(LedgerEntry.request_id, LedgerEntry.entry_no, LedgerEntry.outcome)
            booked = session.execute(query.where(LedgerEntry.request_id.in_(late)))
            earlier |= {(name, number): outcome for name, number, outcome in booked}
        return rollups.by_outcome(calls, earlier, self._zone)

    def _upsert(
        self, session: Session, model: type[Base], rows: list[Row], change: Callable[[Any], Row]
    ) -> None:
        if not rows:
            return
        table = table_of(model)
        statement = insert_into(self._engine, model)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=list(table.primary_key.columns),
                set_=change(statement.excluded),
            ),
            rows,
        )


def _adding(model: type[Base], names: Iterable[str]) -> Callable[[Any], Row]:
    columns = table_of(model).c
    return lambda new: {name: columns[name] + new[name] for name in names}


def _moving_on(new: Any) -> Row:
    """Add up an account, and keep the later of two moments."""
    known = table_of(AccountTotal).c.last_request_at
    is_later = or_(known.is_(None), new.last_request_at > known)
    later = case((is_later, new.last_request_at), else_=known)
    return _adding(AccountTotal, rollups.ACCOUNT_SUMS)(new) | {"last_request_at": later}


def _entry_row(entry: OutboxEntry) -> Row:
    return (
        entry.tally
        | entry.words
        | {
            "request_id": entry.request_id,
            "entry_no": entry.entry_no,
            "kind": entry.kind,
            "seq": entry.seq,
            "stream_id": entry.stream_id,
            "cost_nano_usd": entry.cost,
            "total_after_nano_usd": entry.total,
            "admitted_at": entry.admitted_at,
            "settled_at": entry.settled_at,
        }
    )


def _conflicts(session: Session, repeated: Iterable[OutboxEntry], now: datetime) -> list[Row]:
    """A repeat with another amount is no repeat: it is set aside for a person to look at."""
    rows = []
    for entry in repeated:
        booked = session.scalar(
            select(LedgerEntry.cost_nano_usd).where(
                LedgerEntry.request_id == entry.request_id, LedgerEntry.entry_no == entry.entry_no
            )
        )
        if booked != entry.cost:
            rows.append(
                {
                    "stream_id": entry.stream_id,
                    "reason": f"entry {entry.request_id} {entry.entry_no} is booked at {booked}",
                    "payload": repr(entry),
                    "created_at": now,
                }
            )
    return rows


def _aside_row(entry: UnreadableEntry, now: datetime) -> Row:
    return {
        "stream_id": entry.stream_id,
        "reason": entry.reason,
        "payload": entry.payload,
        "created_at": now,
    }
