"""Migrations, up and down, on each database that we serve."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import MetaData, create_engine, func, inspect, select, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import COMMAND_LINE, Action
from ai_gateway.domain.audit_list import WHOLE_AUDIT
from ai_gateway.domain.roles import Role
from ai_gateway.factory import ROOT, create_app
from ai_gateway.services.audit import Audit
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.audit_log import AuditLog
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.rollup_tables import ModelDay, ModelHour
from ai_gateway.stores.tables import AccountTotal, Base, db
from ai_gateway.stores.users import UserTable
from tests.money import UTC_ZONE, outbox_entry

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
HEADS = ScriptDirectory(str(ROOT / "migrations")).get_heads()
REVISIONS = [
    script.revision for script in ScriptDirectory(str(ROOT / "migrations")).walk_revisions()
]
MADE_UP: dict[type, object] = {
    int: 1,
    str: "UTC",
    bool: True,
    datetime: NOW,
    float: 1.0,
    bytes: b"x",
}


@pytest.fixture
def app(new_database: str, tmp_path: Path) -> Iterator[Flask]:
    """The application on a database without a single table, inside its context."""
    made = create_app(
        {
            "AI_GATEWAY_DATA_DIR": str(tmp_path),
            "DATABASE_URL": new_database,
            "SECRET_KEY": uuid4().hex,
            "AI_GATEWAY_KEY_PEPPER": uuid4().hex,
        }
    )
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new.db"
        return
    server: str = request.getfixturevalue("postgresql_url")
    name = f"new_{uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.replace("/postgres?", f"/{name}?")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


def tables() -> set[str]:
    return set(inspect(db.engine).get_table_names())


def differences() -> list[object]:
    """What a new migration would have to do."""
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Base.metadata))


def test_there_is_one_latest_migration() -> None:
    assert len(HEADS) == 1


def test_tables_are_those_of_the_code(app: Flask) -> None:
    upgrade()
    assert tables() == {*Base.metadata.tables, "alembic_version"}
    assert differences() == []


def test_a_second_time_changes_nothing(app: Flask) -> None:
    upgrade()
    UserTable(db.engine).add("ann", "a@b", password_hash=None, role=Role.NONE, now=NOW)
    upgrade()
    assert [row.username for row in UserTable(db.engine).rows()] == ["ann"]


def fill_empty_tables() -> None:
    """One row in each table that has none; every number in it is 1, that of other rows too."""
    with db.engine.begin() as connection:
        found = MetaData()
        found.reflect(connection)
        for one in found.sorted_tables:
            if not connection.scalar(select(func.count()).select_from(one)):
                row = {c.name: MADE_UP.get(c.type.python_type, []) for c in one.c}
                connection.execute(one.insert(), row)


def rows_by_table() -> dict[str, int]:
    with db.engine.connect() as connection:
        return {
            name: connection.scalar(select(func.count()).select_from(table(name))) or 0
            for name in tables() - {"alembic_version"}
        }


def test_rows_of_every_table_outlive_each_migration_taken_back_and_made_again(app: Flask) -> None:
    """What a step down takes away are tables and columns that the step up had brought."""
    for revision in reversed(REVISIONS):
        upgrade(revision=revision)
        fill_empty_tables()
    whole = rows_by_table()
    assert set(whole.values()) == {1}
    for revision, before in pairwise(REVISIONS):
        downgrade(revision=before)
        upgrade(revision=revision)
        downgrade(revision=before)
        left = rows_by_table()
        assert left == dict.fromkeys(left, 1), revision
    downgrade(revision="base")
    assert tables() == {"alembic_version"}
    upgrade()
    assert differences() == []


def test_sums_by_model_take_over_what_the_hours_of_users_hold(app: Flask) -> None:
    upgrade(revision="0003")
    with db.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO installation VALUES (1, 'Asia/Kolkata', :now)"), {"now": NOW}
        )
        found = MetaData()
        found.reflect(connection, only=["usage_hour"])
        hours = found.tables["usage_hour"]
        counts = {c.name: 0 for c in hours.c} | {"provider": "p", "model": "m"}
        for user_id, hour, cost in ((7, 17, 10), (8, 17, 20), (8, 19, 40)):
            # 18:30 UTC is midnight in India.
            moment = NOW.replace(day=24, hour=hour, minute=30)
            row = counts | {"user_id": user_id, "hour": moment, "cost_nano_usd": cost}
            connection.execute(hours.insert(), row)
    for _ in range(2):
        upgrade(revision="0004")
        sums = {
            model.__tablename__: sorted(
                db.session.scalars(select(model.__table__.c.cost_nano_usd)).all()
            )
            for model in (ModelHour, ModelDay)
        }
        db.session.remove()
        assert sums == {"model_hour": [30, 40], "model_day": [30, 40]}
        downgrade(revision="0003")


def test_the_audit_takes_entries_and_refuses_every_change(app: Flask) -> None:
    upgrade()
    Audit(AuditTable(db.engine), lambda: NOW).record(Action.EXPORT, COMMAND_LINE)
    statements = ["UPDATE audit_entry SET reason = 'another'", "DELETE FROM audit_entry"]
    if db.engine.dialect.name == "postgresql":
        statements.append("TRUNCATE audit_entry")
    for statement in statements:
        with pytest.raises(DBAPIError, match="the audit is append-only"), db.engine.begin() as one:
            one.execute(text(statement))
    (line,) = AuditLog(db.engine).older(WHOLE_AUDIT, 5)
    assert (line.action, line.reason) == (Action.EXPORT, "")


def test_rows_can_be_written_into_what_was_migrated(app: Flask) -> None:
    """The numbers of rows are made by the database itself."""
    upgrade()
    users = UserTable(db.engine)
    numbers = [
        users.add(name, f"{name}@b", password_hash=None, role=Role.NONE, now=NOW)
        for name in ("ann", "ben")
    ]
    assert numbers == [1, 2]
    ledger = Ledger(db.engine, UTC_ZONE)
    ledger.book([outbox_entry(1), outbox_entry(2)], after=ledger.position(), now=NOW)
    assert ledger.total_cost() == 80


def test_accounts_take_over_what_the_hours_of_their_users_hold(app: Flask) -> None:
    upgrade(revision="0004")
    with db.engine.begin() as connection:
        connection.execute(
            text("INSERT INTO installation VALUES (1, 'Asia/Kolkata', :now)"), {"now": NOW}
        )
        for window_id in ("2026-11-24", "2026-11-25", "2026-11"):
            connection.execute(
                text(
                    "INSERT INTO account_total (scope, subject_id, window_id, spent_nano_usd, "
                    "is_refused) VALUES ('user', 7, :window_id, 9, FALSE)"
                ),
                {"window_id": window_id},
            )
        table = db.metadata.tables["usage_hour"]
        counts = {c.name: 0 for c in table.c if c.name not in {"provider", "model", "hour"}}
        for hour, cost in ((17, 10), (19, 30)):
            # 18:30 UTC is midnight in India.
            moment = NOW.replace(day=24, hour=hour, minute=30)
            row = counts | {"user_id": 7, "hour": moment, "provider": "p", "model": "m"}
            connection.execute(table.insert(), row | {"cost_nano_usd": cost, "requests": 2})
    upgrade()
    with Session(db.engine) as session:
        rows = {row.window_id: row for row in session.scalars(select(AccountTotal))}
    assert {window: (row.cost_nano_usd, row.requests) for window, row in rows.items()} == {
        "2026-11-24": (10, 2),
        "2026-11-25": (30, 2),
        "2026-11": (40, 4),
    }
    assert {row.spent_nano_usd for row in rows.values()} == {9}
    assert rows["2026-11"].last_request_at == NOW.replace(day=24, hour=19, minute=30)
