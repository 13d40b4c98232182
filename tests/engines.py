"""Engines for tests that need tables and no application, and another process that writes."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, create_engine

from ai_gateway.stores import (  # their tables join the metadata
    alert_tables,  # noqa: F401
    price_tables,  # noqa: F401
    refusal_tables,  # noqa: F401
    rollup_tables,  # noqa: F401
    task_tables,  # noqa: F401
)
from ai_gateway.stores.sql import BOOKKEEPER_BUSY_MS, configure, driver_url, engine_options
from tests.fresh_tables import fresh_tables


@contextmanager
def opened_engine(url: str, *, busy_ms: int = BOOKKEEPER_BUSY_MS) -> Iterator[Engine]:
    """Make our tables, and take them away at the end."""
    engine = create_engine(driver_url(url), **engine_options(url))
    configure(engine, busy_ms=busy_ms)
    try:
        with fresh_tables(engine):
            yield engine
    finally:
        engine.dispose()


WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("DELETE FROM set_aside_entry WHERE stream_id = 'none'")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
connection.close()
print("free", flush=True)
"""


@contextmanager
def another_writer(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock of writers until it gets a line."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.communicate("\n" if process.poll() is None else None, timeout=20)


def let_go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
