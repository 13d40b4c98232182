"""Turns a database that is away into `GatewayUnavailable`, so that no SQL error goes up.

It has the short writes of workers too: SQLite lets one process write at a time, and a worker must
not stand still while it waits for its turn.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.tables import db

Answer = TypeVar("Answer")

ATTEMPTS = 20
PAUSE_SECONDS = 0.05


@contextmanager
def translated_errors() -> Iterator[None]:
    """Read with `db.session`; raise `GatewayUnavailable` where no connection answers."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        # The rollback of a broken connection may fail too; the first cause is the one that tells.
        with suppress(SQLAlchemyError):
            db.session.rollback()
        raise GatewayUnavailable from error


def write(
    action: Callable[[Session], Answer], *, attempts: int = ATTEMPTS, engine: Engine | None = None
) -> Answer:
    """Run one short transaction of its own, again while SQLite is locked by another process.

    Without `engine` it is that of the application.
    """
    # A transaction that began by reading could not be upgraded under another writer.
    engine = (engine or db.engine).execution_options(sqlite_begin="IMMEDIATE")
    while True:
        attempts -= 1
        try:
            return _run(engine, action)
        except OperationalError as error:
            if attempts <= 0 or not _is_locked(error):
                raise GatewayUnavailable from error
            # Other greenlets of this worker run meanwhile.
            time.sleep(PAUSE_SECONDS)
        except (InterfaceError, PoolTimeoutError) as error:
            raise GatewayUnavailable from error


def _run(engine: Engine, action: Callable[[Session], Answer]) -> Answer:
    with Session(engine) as session, session.begin():
        return action(session)


def _is_locked(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK)
    # The low byte is the kind; the rest tells in which of its ways SQLite was busy.
    return code & 0xFF == sqlite3.SQLITE_BUSY
