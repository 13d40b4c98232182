"""The databases of a run: SQLite as every installation has it, and a PostgreSQL server of its own.

A database tells how much CPU time a statement took, wherever that is spent: SQLite runs in this
thread, PostgreSQL in a process of its own for each connection.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url

from tests.postgresql import running_postgresql

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
KINDS = (SQLITE, POSTGRESQL)

_BACKENDS = text(
    "SELECT pid FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


@dataclass(frozen=True, slots=True)
class Server:
    """Where databases can be made. `url` is empty for SQLite, which needs no server."""

    kind: str
    url: str = ""

    def new_database(self, name: str) -> str:
        """Make an empty database; its URL, or nothing where the gateway brings its own."""
        if not self.url:
            return ""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)


@contextmanager
def server(kind: str) -> Iterator[Server]:
    """One kind of database for as long as the block lasts."""
    if kind == SQLITE:
        yield Server(kind)
        return
    with running_postgresql() as url:
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            # The time of a statement is that of one process, as long as it has no helpers.
            connection.exec_driver_sql("ALTER SYSTEM SET max_parallel_workers_per_gather = 0")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        engine.dispose()
        yield Server(kind, url)


class CpuClock:
    """CPU time of this thread and of the connections that were open when the clock was made."""

    def __init__(self, engine: Engine) -> None:
        self._backends: list[Path] = []
        if engine.dialect.name == "postgresql":
            watching = create_engine(engine.url)
            with watching.connect() as connection:
                pids = connection.scalars(_BACKENDS).all()
            watching.dispose()
            self._backends = [Path(f"/proc/{pid}/schedstat") for pid in pids]

    def nanoseconds(self) -> int:
        return time.thread_time_ns() + sum(map(_on_cpu, self._backends))


def _on_cpu(schedstat: Path) -> int:
    return int(schedstat.read_text(encoding="ascii").split()[0])
