"""A copy of the embedded database while the gateway runs; PostgreSQL has programs of its own."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from ai_gateway.stores.sql import transaction

PAGES_AT_ONCE = 2_000
"""Some 8 MB; writers get their turn in between."""


class DatabaseCopy:
    """Reads through SQLite's own online backup, so that the copy is of one moment."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def is_possible(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def write(self, target: Path) -> None:
        """Write a file that only its owner may read; raises `FileExistsError` and `OSError`."""
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with transaction(self._engine) as session, closing(sqlite3.connect(target)) as copy:
            # Begins the moment that is copied; else each write in between would begin it anew.
            session.execute(text("SELECT count(*) FROM sqlite_master"))
            source: Any = session.connection().connection.driver_connection
            source.backup(copy, pages=PAGES_AT_ONCE, sleep=0)
            # The file alone is the whole database, wherever it is taken.
            copy.execute("PRAGMA journal_mode=DELETE")
