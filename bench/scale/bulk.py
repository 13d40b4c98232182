"""What a database is told before much is written into it at once, and after."""

from typing import Any

from sqlalchemy import Connection, Engine


def prepare(connection: Connection) -> None:
    """Nobody needs these rows if the machine stops, and the sums take longer than a page may."""
    settings = {
        "sqlite": ("PRAGMA synchronous=OFF", "PRAGMA cache_size=-200000"),
        "postgresql": ("SET statement_timeout = 0", "SET work_mem = '256MB'"),
    }
    driver: Any = connection.connection.driver_connection
    for setting in settings[connection.dialect.name]:
        driver.execute(setting)
    driver.commit()


def tidy_up(engine: Engine) -> None:
    """What either database does by itself within minutes; SQLite gathers no statistics."""
    is_sqlite = engine.dialect.name == "sqlite"
    raw = engine.raw_connection()
    driver: Any = raw.driver_connection
    if not is_sqlite:
        driver.autocommit = True
        driver.execute("SET statement_timeout = 0")
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)" if is_sqlite else "VACUUM ANALYZE")
    raw.invalidate()
    raw.close()
