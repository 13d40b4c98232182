"""A database with our tables, inside an application that has nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import Connection, Engine, event

from ai_gateway.stores import (  # their tables join the metadata
    alert_tables,  # noqa: F401
    outbox_tables,  # noqa: F401
    price_tables,  # noqa: F401
    refusal_tables,  # noqa: F401
    rollup_tables,  # noqa: F401
    task_tables,  # noqa: F401
)
from ai_gateway.stores.sql import WORKER_BUSY_MS, configure
from ai_gateway.stores.tables import db
from tests.fresh_tables import fresh_tables


@contextmanager
def opened(url: str) -> Iterator[None]:
    """Make the tables, and take them away at the end."""
    app = Flask("ai_gateway")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db.init_app(app)
    with app.app_context():
        configure(db.engine, busy_ms=WORKER_BUSY_MS)
        with fresh_tables(db.engine):
            yield
            db.session.remove()
        db.engine.dispose()


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'test.db'}"


@contextmanager
def counted_statements(engine: Engine | None = None) -> Iterator[list[str]]:
    """Collect what is sent to the database, without the frames of transactions."""
    sent: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK")):
            sent.append(statement)

    engine = engine or db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
