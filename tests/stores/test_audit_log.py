"""Reading the audit by keyset, on each kind of database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import (
    COMMAND_LINE,
    Action,
    Actor,
    AuditEntry,
    Change,
    Result,
    Target,
    TargetKind,
    user_target,
)
from ai_gateway.domain.audit_list import WHOLE_AUDIT, AuditSelection
from ai_gateway.domain.roles import Role
from ai_gateway.stores.audit import AuditTable, row_of
from ai_gateway.stores.audit_log import AuditLog
from tests.engines import opened_engine
from tests.sql_database import sqlite_url

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
ANN = Actor(7, "ann", Role.ADMIN, "192.0.2.1", request_id="r1")
KEY = Target(TargetKind.KEY, "Kd7w0000", "support bot")


@pytest.fixture
def log(engine: Engine) -> AuditLog:
    """Nine entries, of which three at a time are of the same moment."""
    entries = [
        AuditEntry(
            NOON + timedelta(seconds=number // 3),
            (Action.LOG_IN, Action.KEY_CREATE, Action.EXPORT)[number % 3],
            (ANN, ANN, COMMAND_LINE)[number % 3],
            (user_target(12, "ben"), KEY, None)[number % 3],
            Change({}, {"number": number}),
            Result.FAILED if number == 3 else Result.OK,
        )
        for number in range(9)
    ]
    with Session(engine) as session:
        session.add_all(map(row_of, entries))
        session.commit()
    return AuditLog(engine)


def test_pages_back_and_forth_show_each_entry_once(log: AuditLog, engine: Engine) -> None:
    seen, place = [], None
    while lines := log.older(WHOLE_AUDIT, 2, place):
        seen += [line.after["number"] for line in lines]
        place = lines[-1].position
        # What comes in meanwhile moves nothing.
        later = AuditEntry(NOON + timedelta(days=1), Action.EXPORT, ANN, None, Change(), Result.OK)
        AuditTable(engine).add(later)
    assert seen == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert place is not None
    back = log.newer(WHOLE_AUDIT, 4, place)
    assert [line.after["number"] for line in back] == [4, 3, 2, 1]


def test_what_narrows_is_compared_whole(log: AuditLog) -> None:
    def shown(**narrowed: Any) -> list[object]:
        selection = AuditSelection(**narrowed)
        return [line.after["number"] for line in log.older(selection, 100)]

    assert shown(actor="ann") == [7, 6, 4, 3, 1, 0]
    assert shown(actor="an") == []
    assert shown(actor="command line", action=Action.EXPORT) == [8, 5, 2]
    assert shown(action=Action.KEY_CREATE) == [7, 4, 1]
    assert shown(target="support bot") == [7, 4, 1]
    assert shown(target="key:Kd7w0000") == [7, 4, 1]
    assert shown(target="user:12") == [6, 3, 0]
    assert shown(target="user:1") == []
    assert shown(target="team:12") == []
    assert shown(result=Result.FAILED) == [3]
    assert shown(since=NOON + timedelta(seconds=2)) == [8, 7, 6]
    assert shown(until=NOON + timedelta(seconds=1)) == [2, 1, 0]


def test_a_line_has_everything_that_was_recorded(log: AuditLog) -> None:
    line = log.older(AuditSelection(result=Result.FAILED), 1)[0]
    assert (line.at, line.position.number) == (NOON + timedelta(seconds=1), 4)
    assert (line.actor_id, line.actor, line.role) == (7, "ann", "admin")
    assert (line.address, line.request_id) == ("192.0.2.1", "r1")
    assert (line.target_kind, line.target_id, line.target_name) == ("user", "12", "ben")
    assert (line.action, line.result, line.fields) == ("log_in", "failed", ("number",))


def test_an_audit_without_an_entry_is_told_from_one_that_has_some(engine: Engine) -> None:
    log = AuditLog(engine)
    assert not log.has_any()
    AuditTable(engine).add(AuditEntry(NOON, Action.EXPORT, ANN, None, Change(), Result.OK))
    assert log.has_any()


@pytest.mark.parametrize(
    "narrowed",
    [
        {},
        {"actor": "ann"},
        {"target": "ben"},
        {"target": "user:12"},
        {"action": Action.EXPORT},
        {"result": Result.FAILED},
    ],
    ids=str,
)
def test_page_is_read_in_the_order_of_an_index(tmp_path: Path, narrowed: dict[str, Any]) -> None:
    """Else all lines about a busy target would be sorted to show the newest of them."""
    plans: list[str] = []

    def explain(connection: Any, _: object, text: str, values: Any, *_rest: object) -> None:
        if text.startswith("SELECT"):
            cursor = connection.connection.cursor()
            plans.extend(row[-1] for row in cursor.execute(f"EXPLAIN QUERY PLAN {text}", values))

    with opened_engine(sqlite_url(tmp_path)) as engine:
        event.listen(engine, "before_cursor_execute", explain)
        AuditLog(engine).older(AuditSelection(**narrowed), 50)
    assert len(plans) == 1
    assert "USING INDEX" in plans[0]
