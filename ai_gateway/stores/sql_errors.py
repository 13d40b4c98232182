"""Turns a database that is away into `GatewayUnavailable`, so that no SQL error goes up.

It has the short writes of workers too: SQLite lets one process write at a time, and a worker must
not stand still while it waits for its turn.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.tables import db

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


def write(action: Callable[[Session], object], *, attempts: int = ATTEMPTS) -> None:
    """Run one short transaction of its own, again while SQLite is locked by another process."""
    # A transaction that began by reading could not be upgraded under another writer.
    engine = db.engine.execution_options(sqlite_begin="IMMEDIATE")
    for left in reversed(range(attempts)):
        try:
            _run(engine, action)
        except OperationalError as error:
            if left == 0 or not _is_locked(error):
                raise GatewayUnavailable from error
            # Other greenlets of this worker run meanwhile.
            time.sleep(PAUSE_SECONDS)
        except (InterfaceError, PoolTimeoutError) as error:
            raise GatewayUnavailable from error
        else:
            return


def _run(engine: Engine, action: Callable[[Session], object]) -> None:
    with Session(engine) as session, session.begin():
        action(session)


def _is_locked(error: OperationalError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_OK)
    # The low byte is the kind; the rest tells in which of its ways SQLite was busy.
    return code & 0xFF == sqlite3.SQLITE_BUSY
