"""Engines for tests that need tables and no application."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine

from ai_gateway.stores.sql import BOOKKEEPER_BUSY_MS, configure, driver_url, engine_options
from ai_gateway.stores.tables import Base


@contextmanager
def opened_engine(url: str, *, busy_ms: int = BOOKKEEPER_BUSY_MS) -> Iterator[Engine]:
    """Make our tables, and take them away at the end."""
    engine = create_engine(driver_url(url), **engine_options(url))
    configure(engine, busy_ms=busy_ms)
    try:
        Base.metadata.create_all(engine)
        yield engine
        Base.metadata.drop_all(engine)
    finally:
        engine.dispose()
