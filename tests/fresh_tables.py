"""Our tables in a database, empty for each test; to make them anew costs more than most tests.

A file of SQLite is a copy of one that was made before, and tables of PostgreSQL are emptied.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Engine, create_engine, text

from ai_gateway.stores.sql import configure
from ai_gateway.stores.tables import Base

# Triggers that guard what is only ever added to, and foreign keys, rest meanwhile.
EMPTY = text("""DO $$
DECLARE name text;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE 'DELETE FROM ' || name;
    END LOOP;
    FOR name IN SELECT quote_ident(sequencename) FROM pg_sequences
            WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
        EXECUTE 'ALTER SEQUENCE ' || name || ' RESTART';
    END LOOP;
END $$""")

COLUMNS = text("""SELECT relname || '.' || attname FROM pg_attribute
    JOIN pg_class ON pg_class.oid = attrelid
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
        AND attnum > 0 AND NOT attisdropped""")


@contextmanager
def fresh_tables(engine: Engine) -> Iterator[None]:
    """Every table that some imported module declares, as long as a test lasts."""
    names = frozenset(Base.metadata.tables)
    if engine.dialect.name == "sqlite":
        _copy(engine, names)
        yield
    else:
        _make_where_they_differ(engine)
        try:
            yield
        finally:
            with engine.begin() as connection:
                connection.execute(EMPTY)


def _copy(engine: Engine, names: frozenset[str]) -> None:
    file = engine.url.database
    if file and not Path(file).exists():
        Path(file).write_bytes(_sqlite_file(names))
    else:
        Base.metadata.create_all(engine)


@cache
def _sqlite_file(_names: frozenset[str]) -> bytes:
    """An empty database with a write-ahead log; another one for each set of tables."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "empty.db")
        engine = create_engine(f"sqlite:///{path}")
        configure(engine, busy_ms=0)
        Base.metadata.create_all(engine)
        engine.dispose()
        return path.read_bytes()


def _make_where_they_differ(engine: Engine) -> None:
    """A test may have dropped a column, or a module may have declared a table since."""
    wanted = {
        f"{name}.{column.name}"
        for name, table in Base.metadata.tables.items()
        for column in table.columns
    }
    with engine.connect() as connection:
        found = set(connection.execute(COLUMNS).scalars())
    if found != wanted:
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
