"""A database that is away or busy, as the layers above hear of it."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import event, select, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.tables import User, db
from tests.seeding import NOW, add_user
from tests.sql_database import opened, sqlite_url


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Path]:
    with opened(sqlite_url(tmp_path)):
        yield tmp_path / "test.db"


@pytest.fixture
def lock(sqlite: Path) -> Iterator[sqlite3.Connection]:
    """Another process that is writing."""
    connection = sqlite3.connect(sqlite, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "postgresql+psycopg://nobody@127.0.0.1:1/none"]
)
def test_a_database_that_is_away_is_told_without_sql(url: str) -> None:
    app = Flask("ai_gateway")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    with app.app_context():
        for call in (
            lambda: ReportingStore().set_up_facts(),
            lambda: StaffSessions().find("0" * 64),
            lambda: StaffSessions().touch("0" * 64, NOW),
        ):
            with pytest.raises(GatewayUnavailable) as caught:
                call()
            assert str(caught.value) == ""
        db.session.remove()
        db.engine.dispose()


def test_a_write_waits_until_another_one_is_done(lock: sqlite3.Connection) -> None:
    refused = []

    def let_go(context: ExceptionContext) -> None:
        refused.append(context.original_exception)
        lock.execute("ROLLBACK")

    event.listen(db.engine, "handle_error", let_go)
    write(lambda session: session.execute(text("UPDATE user SET role = 'none'")))
    assert len(refused) == 1


def test_a_write_gives_up_where_the_other_one_does_not_end(lock: sqlite3.Connection) -> None:
    with pytest.raises(GatewayUnavailable):
        StaffSessions().touch("0" * 64, NOW)


def test_a_write_that_fails_leaves_nothing(sqlite: Path) -> None:
    add_user("ann")

    def half(session: Session) -> None:
        session.execute(text("UPDATE user SET role = 'admin'"))
        session.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(GatewayUnavailable):
        write(half)
    assert db.session.scalar(select(User.role)) == "none"
