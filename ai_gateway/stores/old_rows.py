"""Rows that are of no use any more, removed a few at a time, so that no writer waits for long."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, delete, func, or_, select
from sqlalchemy.orm import DeclarativeBase

from ai_gateway.stores.alert_deliveries import AlertDeliveries, DeliveryState
from ai_gateway.stores.alert_tables import AlertDeliveryRow, AlertRow
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.sql import table_of, transaction
from ai_gateway.stores.tables import KeyOrder, StaffSession

MOST_REFUSALS = 50_000


class OldRows:
    """The old rows of one table, whose primary key is one column."""

    def __init__(
        self,
        engine: Engine,
        table: type[DeclarativeBase],
        is_old: Callable[[datetime], ColumnElement[bool]],
    ) -> None:
        self._engine = engine
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._table = table_of(table)
        (self._id,) = self._table.primary_key.columns
        self._is_old = is_old

    def count(self, now: datetime) -> int:
        """How many there are."""
        query = select(func.count()).select_from(self._table).where(self._is_old(now))
        with transaction(self._engine) as session:
            return int(session.scalar(query) or 0)

    def remove(self, now: datetime, most: int) -> int:
        """Remove up to so many; returns how many went."""
        some = select(self._id).where(self._is_old(now)).limit(most)
        removed = delete(self._table).where(self._id.in_(some))
        with transaction(self._writing) as session:
            return int(session.execute(removed).rowcount)  # type: ignore[attr-defined]  # a CursorResult has it


def ended_sessions(engine: Engine, *, idle: timedelta, life: timedelta) -> OldRows:
    """Log-ins that are over: not seen for so long, or as old as one may get."""
    return OldRows(
        engine,
        StaffSession,
        lambda now: or_(
            StaffSession.created_at < now - life, StaffSession.last_seen_at < now - idle
        ),
    )


def old_refusals(engine: Engine, *, kept: timedelta) -> OldRows:
    """Refused requests of before that time, and the oldest of too many; their numbers stay."""
    newest = select(func.max(RefusalRow.id)).scalar_subquery()
    return OldRows(
        engine,
        RefusalRow,
        lambda now: or_(RefusalRow.at < now - kept, RefusalRow.id <= newest - MOST_REFUSALS),
    )


class OldDeliveries:
    """Messages of alerts that are sent, or given up, with the attempts to send them."""

    def __init__(self, engine: Engine, *, kept: timedelta) -> None:
        self._deliveries = AlertDeliveries(engine)
        self._engine = engine
        self._kept = kept

    def count(self, now: datetime) -> int:
        query = select(func.count()).where(
            AlertDeliveryRow.created_at < now - self._kept,
            AlertDeliveryRow.state != DeliveryState.WAITING.value,
        )
        with transaction(self._engine) as session:
            return int(session.scalar(query) or 0)

    def remove(self, now: datetime, most: int) -> int:
        return self._deliveries.forget_old(now - self._kept, most)


def old_alerts(engine: Engine, *, kept: timedelta) -> OldRows:
    """Alerts that were over before that time."""
    return OldRows(engine, AlertRow, lambda now: AlertRow.resolved_at < now - kept)


def old_key_orders(engine: Engine, *, kept: timedelta) -> OldRows:
    """Orders that nobody will repeat."""
    return OldRows(engine, KeyOrder, lambda now: KeyOrder.at < now - kept)
