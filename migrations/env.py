"""Runs the migrations with the application's own engine, for `flask db` and `flask setup`."""

from typing import Any

from alembic import context
from flask import current_app

from ai_gateway.stores import (  # their tables join the metadata
    alert_tables,  # noqa: F401
    outbox_tables,  # noqa: F401
    price_tables,  # noqa: F401
    refusal_tables,  # noqa: F401
    rollup_tables,  # noqa: F401
    task_tables,  # noqa: F401
)
from ai_gateway.stores.tables import Base, Moment


def render_item(kind: str, item: Any, _autogen: Any) -> str | bool:
    """Write our own column types as the plain ones that they are in the database."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


def run() -> None:
    engine = current_app.extensions["migrate"].db.engine
    # A migration that began by reading could not be upgraded under another writer.
    with engine.execution_options(sqlite_begin="IMMEDIATE").connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=render_item,
            render_as_batch=connection.dialect.name == "sqlite",
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
