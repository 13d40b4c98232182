"""How SQL is opened: SQLite in WAL mode with short waits, or PostgreSQL with bounded ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, Table, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import DeclarativeBase, Session

from ai_gateway.errors import GatewayUnavailable

WORKER_BUSY_MS = 50
"""A worker's event loop stands still while SQLite waits, so it waits hardly at all."""

BOOKKEEPER_BUSY_MS = 10_000
STATEMENT_TIMEOUT_MS = 10_000


def engine_options(url: str) -> dict[str, Any]:
    """Options of the engine for the kind of database that `url` names."""
    if url.startswith("sqlite"):
        return {}
    return {
        "pool_size": 5,
        "max_overflow": 10,
        "pool_timeout": 5,
        "pool_pre_ping": True,
        "connect_args": {
            "connect_timeout": 5,
            # To compile a statement of a page takes longer than to run it.
            "options": f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c jit=off",
        },
    }


def driver_url(url: str) -> str:
    """Name psycopg 3 where the operator named no driver."""
    for plain in ("postgresql://", "postgres://"):
        if url.startswith(plain):
            return url.replace(plain, "postgresql+psycopg://", 1)
    return url


def configure(engine: Engine, *, busy_ms: int) -> None:
    """Prepare each new connection; has to run before the first one is opened."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, and only before writes.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        # What is trimmed from the outbox must be on the disk: NORMAL could lose it with the power.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={busy_ms:d}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")


def watch(engine: Engine, told: Callable[[str, float], object]) -> None:
    """Tell of each statement whether the database took it (`ok`, `error`), and the seconds."""

    @event.listens_for(engine, "before_cursor_execute")
    def begin(connection: Connection, *_: object) -> None:
        connection.info["began"] = perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Connection, *_: object) -> None:
        told("ok", perf_counter() - connection.info["began"])

    @event.listens_for(engine, "handle_error")
    def fail(context: ExceptionContext) -> None:
        if isinstance(context.sqlalchemy_exception, OperationalError | InterfaceError):
            began = context.connection.info.get("began") if context.connection else None
            told("error", perf_counter() - began if began else 0.0)


def insert_into(engine: Engine, model: type[DeclarativeBase]) -> Any:
    """An insert that knows what to do on a conflict, in the words of the engine's database."""
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    return dialect.insert(table_of(model))


def table_of(model: type[DeclarativeBase]) -> Table:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is no plain table")
    return table


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One short transaction; raises `GatewayUnavailable` where no connection answers."""
    with (
        translated_errors(),
        Session(engine, expire_on_commit=False) as session,
        session.begin(),
    ):
        yield session


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn a database that does not answer into `GatewayUnavailable`."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise GatewayUnavailable from error


def is_up(engine: Engine) -> bool:
    """Whether the database answers."""
    try:
        with transaction(engine) as session:
            session.execute(text("SELECT 1"))
    except GatewayUnavailable:
        return False
    return True
