"""Rows of long ago on each database that we serve: a few at a time, and never a newer one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from ai_gateway.services.housekeeping import ROWS_AT_ONCE, RowsWork
from ai_gateway.stores import old_rows
from ai_gateway.stores.alert_deliveries import DeliveryState
from ai_gateway.stores.alert_tables import AlertAttemptRow, AlertDeliveryRow, AlertRow
from ai_gateway.stores.old_rows import OldDeliveries, OldRows
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.tables import Base, KeyOrder, StaffSession, User

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def session_row(name: str, *, began: timedelta, seen: timedelta) -> StaffSession:
    return StaffSession(id_hash=name, user_id=1, created_at=NOW - began, last_seen_at=NOW - seen)


def refusal(number: int, age: timedelta) -> RefusalRow:
    words = {"outcome": "budget_blocked", "reason": "user_day", "operation": "chat", "model": "m"}
    return RefusalRow(
        id=number, at=NOW - age, request_id=f"r{number}", user_id=1, key_id="k", **words
    )


def key_order(name: str, age: timedelta) -> KeyOrder:
    return KeyOrder(id=name, key_id="k", at=NOW - age)


def alert(number: int, resolved: timedelta | None) -> AlertRow:
    return AlertRow(
        id=number,
        kind="spend",
        subject=f"user:{number}",
        window="2026-11",
        episode=1,
        name="",
        words="",
        opened_at=NOW - 500 * DAY,
        resolved_at=None if resolved is None else NOW - resolved,
        is_told=True,
    )


def delivery(number: int, age: timedelta, state: DeliveryState) -> list[Base]:
    made = AlertDeliveryRow(
        id=number,
        notice_id=f"n{number}",
        channel="mail",
        state=state.value,
        notice_state="open",
        title="",
        lines=[],
        created_at=NOW - age,
        attempts=1,
        next_at=NOW,
    )
    attempt = AlertAttemptRow(
        delivery_id=number, number=1, started_at=NOW - age, is_sent=True, note=""
    )
    return [made, attempt]


CASES: dict[
    str, tuple[Callable[[Engine], OldRows | OldDeliveries], list[Base], type[Base], set[object]]
] = {
    "sessions": (
        lambda engine: old_rows.ended_sessions(engine, idle=HOUR, life=12 * HOUR),
        [
            User(id=1, username="u", email="u", created_at=NOW),
            session_row("fresh", began=11 * HOUR, seen=HOUR / 2),
            session_row("idle", began=2 * HOUR, seen=2 * HOUR),
            session_row("old", began=13 * HOUR, seen=HOUR / 2),
        ],
        StaffSession,
        {"fresh"},
    ),
    "refusals": (
        lambda engine: old_rows.old_refusals(engine, kept=30 * DAY),
        [refusal(1, DAY), refusal(60_000, 29 * DAY), refusal(60_001, 31 * DAY)],
        RefusalRow,
        # The first is too far behind the newest number.
        {60_000},
    ),
    "orders of keys": (
        lambda engine: old_rows.old_key_orders(engine, kept=30 * DAY),
        [key_order("new", 29 * DAY), key_order("old", 31 * DAY)],
        KeyOrder,
        {"new"},
    ),
    "alerts": (
        lambda engine: old_rows.old_alerts(engine, kept=400 * DAY),
        [alert(1, None), alert(2, 399 * DAY), alert(3, 401 * DAY)],
        AlertRow,
        {1, 2},
    ),
    "deliveries": (
        lambda engine: OldDeliveries(engine, kept=90 * DAY),
        [
            *delivery(1, 91 * DAY, DeliveryState.WAITING),
            *delivery(2, 91 * DAY, DeliveryState.SENT),
            *delivery(3, 89 * DAY, DeliveryState.SENT),
        ],
        AlertDeliveryRow,
        {1, 3},
    ),
}


def ids(engine: Engine, table: type[Base]) -> set[object]:
    (column,) = table.__table__.primary_key
    with Session(engine) as session:
        return set(session.scalars(select(column)))


@pytest.mark.parametrize(("make", "rows", "table", "left"), CASES.values(), ids=CASES)
def test_old_rows_go_and_the_others_stay(
    engine: Engine,
    make: Callable[[Engine], OldRows | OldDeliveries],
    rows: list[Base],
    table: type[Base],
    left: set[object],
) -> None:
    with Session(engine) as session, session.begin():
        for row in rows:
            session.merge(row)
            session.flush()
    old = make(engine)
    before = ids(engine, table)
    assert old.count(NOW) == len(before - left)
    work = RowsWork(old, "Rows", lambda: NOW)
    assert work.plan() == f"Rows to remove: {len(before - left)}"
    assert ids(engine, table) == before
    assert sum(work.steps()) == len(before - left)
    assert ids(engine, table) == left
    assert sum(work.steps()) == 0


def test_one_step_removes_no_more_than_a_writer_can_wait_for(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.add_all(key_order(str(number), 31 * DAY) for number in range(2 * ROWS_AT_ONCE + 1))
    old = old_rows.old_key_orders(engine, kept=30 * DAY)
    steps = RowsWork(old, "Orders", lambda: NOW).steps()
    assert next(steps) == ROWS_AT_ONCE
    # Killed here: what is left is found again.
    assert old.count(NOW) == ROWS_AT_ONCE + 1
    assert list(RowsWork(old, "Orders", lambda: NOW).steps()) == [ROWS_AT_ONCE, 1]
    with Session(engine) as session:
        assert session.scalar(select(func.count(KeyOrder.id))) == 0
