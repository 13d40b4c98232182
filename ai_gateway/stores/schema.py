"""Whether the tables of the database are those that this version works with."""

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from ai_gateway.stores.sql import translated_errors


class SchemaVersion:
    """Compares the migrations that the database has with those in the folder of this version."""

    def __init__(self, engine: Engine, migrations: Path) -> None:
        self._engine = engine
        self._migrations = migrations

    def is_current(self) -> bool:
        """False before `flask setup`; raises `GatewayUnavailable` where nothing answers."""
        with translated_errors(), self._engine.connect() as connection:
            made = MigrationContext.configure(connection).get_current_heads()
        return set(made) == set(ScriptDirectory(str(self._migrations)).get_heads())
