"""Makes a seeded ledger longer inside the database: copies of it, each a month earlier.

A row that Python makes takes ten times as long as one that the database copies.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table

from ai_gateway.stores.tables import LedgerEntry
from bench.scale.population import ENTRY_COLUMNS

DAYS = 31
"""As many as the seeds have, so that no two copies share a day."""

MOMENTS = ("admitted_at", "settled_at")
EARLIER = {
    # SQLite keeps moments as text; only the day changes.
    "sqlite": "date(substr({0}, 1, 10), '-{1} days') || substr({0}, 11)",
    "postgresql": "{0} - interval '{1} days'",
}


def copy_to_earlier_month(connection: Connection, rows: int, month: int) -> None:
    """Add the first `rows` entries once more, so many months earlier."""
    with connection.begin():
        connection.exec_driver_sql(_copying(connection, rows, month))


@contextmanager
def without_indexes(connection: Connection) -> Iterator[None]:
    """Let what is written in bulk be indexed once, at the end."""
    table = LedgerEntry.__table__
    if not isinstance(table, Table):
        raise TypeError("the ledger is no plain table")
    with connection.begin():
        for index in table.indexes:
            index.drop(connection)
    yield
    for index in table.indexes:
        with connection.begin():
            index.create(connection)


def _copying(connection: Connection, rows: int, month: int) -> str:
    earlier = EARLIER[connection.dialect.name]
    changed = {
        # In front, so that the copies of one month lie together in the index.
        "request_id": f"'{month}-' || request_id",
        "seq": f"seq + {month * rows}",
        "stream_id": f"(seq + {month * rows}) || '-0'",
        **{name: earlier.format(name, DAYS * month) for name in MOMENTS},
    }
    names = ", ".join(f'"{name}"' for name in ENTRY_COLUMNS)
    values = ", ".join(changed.get(name, f'"{name}"') for name in ENTRY_COLUMNS)
    return (
        f"INSERT INTO ledger_entry ({names}) SELECT {values} FROM ledger_entry WHERE seq <= {rows}"  # noqa: S608  # ours
    )
