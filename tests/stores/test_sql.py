"""How the databases are opened: WAL and short waits, bounded waits, and one error for all of it."""

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Engine, create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.outbox_tables import SetAsideEntry
from ai_gateway.stores.sql import (
    STATEMENT_TIMEOUT_MS,
    WORKER_BUSY_MS,
    configure,
    driver_url,
    engine_options,
    is_up,
    transaction,
    watch,
)
from tests.engines import another_writer, let_go, opened_engine
from tests.sql_database import sqlite_url

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def add_row(engine: Engine, stream_id: str = "1-0", created_at: datetime = NOW) -> None:
    with transaction(engine) as session:
        session.add(
            SetAsideEntry(stream_id=stream_id, reason="", payload="", created_at=created_at)
        )


def rows(engine: Engine) -> list[str]:
    with Session(engine) as session:
        return list(session.scalars(select(SetAsideEntry.stream_id)))


class TestSqlite:
    """One host, several processes."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "test.db"

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        with opened_engine(sqlite_url(tmp_path)) as opened_one:
            yield opened_one

    @pytest.mark.parametrize(
        ("pragma", "value"),
        [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 50)],
    )
    def test_each_connection_is_prepared(self, tmp_path: Path, pragma: str, value: object) -> None:
        with (
            opened_engine(sqlite_url(tmp_path), busy_ms=WORKER_BUSY_MS) as engine,
            engine.connect() as first,
            engine.connect() as second,
        ):
            assert [c.scalar(text(f"PRAGMA {pragma}")) for c in (first, second)] == [value] * 2

    def test_a_transaction_that_fails_leaves_nothing(self, engine: Engine) -> None:
        def half() -> None:
            with transaction(engine) as session:
                session.execute(
                    insert(SetAsideEntry).values(
                        stream_id="1-0", reason="", payload="", created_at=NOW
                    )
                )
                raise KeyError

        with pytest.raises(KeyError):
            half()
        assert rows(engine) == []

    def test_a_reader_sees_one_state_from_its_first_statement_on(self, engine: Engine) -> None:
        with transaction(engine) as session:
            assert session.scalar(text("SELECT count(*) FROM set_aside_entry")) == 0
            add_row(engine)
            assert session.scalar(text("SELECT count(*) FROM set_aside_entry")) == 0

    def test_a_writer_waits_for_another_process_and_goes_on(
        self, engine: Engine, path: Path
    ) -> None:
        writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        done = Event()

        def write() -> None:
            add_row(writing)
            done.set()

        with another_writer(path) as process:
            thread = Thread(target=write)
            thread.start()
            assert not done.wait(0.1)
            let_go(process)
            thread.join()
        assert done.is_set()
        assert rows(engine) == ["1-0"]

    def test_a_worker_gives_up_at_once(self, tmp_path: Path, path: Path) -> None:
        with opened_engine(sqlite_url(tmp_path), busy_ms=WORKER_BUSY_MS) as engine:
            writing = engine.execution_options(sqlite_begin="IMMEDIATE")
            with another_writer(path) as process:
                started = time.monotonic()
                with pytest.raises(GatewayUnavailable):
                    add_row(writing)
                assert time.monotonic() - started < 1
                let_go(process)
                process.wait()
            add_row(writing)
            assert rows(engine) == ["1-0"]

    def test_readers_wait_for_nobody(self, engine: Engine, path: Path) -> None:
        add_row(engine)
        with another_writer(path):
            assert rows(engine) == ["1-0"]

    def test_a_transaction_that_may_write_locks_from_its_start(
        self, engine: Engine, path: Path
    ) -> None:
        """One that began by reading could not be upgraded under another writer."""
        with transaction(engine.execution_options(sqlite_begin="IMMEDIATE")) as session:
            session.execute(text("SELECT 1"))
            other = sqlite3.connect(path, timeout=0, isolation_level=None)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            other.close()


class TestMoments:
    """Moments are UTC, on each database."""

    @pytest.mark.parametrize(
        "moment",
        [
            NOW,
            datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC),
            datetime(2026, 11, 25, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        ],
        ids=str,
    )
    def test_a_moment_comes_back_in_utc(self, engine: Engine, moment: datetime) -> None:
        add_row(engine, created_at=moment)
        with Session(engine) as session:
            found = session.scalar(select(SetAsideEntry.created_at))
        assert found == moment
        assert found is not None
        assert found.utcoffset() == timedelta(0)


class TestAway:
    """A database that does not answer."""

    @pytest.mark.parametrize(
        "url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/none"]
    )
    def test_it_is_told_without_sql(self, url: str) -> None:
        engine = create_engine(driver_url(url), **engine_options(url))
        configure(engine, busy_ms=WORKER_BUSY_MS)
        with pytest.raises(GatewayUnavailable) as caught, transaction(engine) as session:
            session.execute(text("SELECT 1"))
        assert str(caught.value) == ""
        assert is_up(engine) is False
        engine.dispose()

    def test_one_that_answers_is_up(self, engine: Engine) -> None:
        assert is_up(engine) is True

    @pytest.mark.postgresql
    def test_a_statement_that_takes_too_long_is_ended(self, postgresql_url: str) -> None:
        with opened_engine(postgresql_url) as engine:
            with engine.connect() as connection:
                shown = connection.scalar(text("SHOW statement_timeout"))
            assert shown == f"{STATEMENT_TIMEOUT_MS // 1000}s"
            slow = text("SET LOCAL statement_timeout = 10; SELECT pg_sleep(10)")
            with pytest.raises(GatewayUnavailable), transaction(engine) as session:
                session.execute(slow)

    @pytest.mark.postgresql
    def test_a_connection_that_the_server_ended_is_replaced(self, postgresql_url: str) -> None:
        with opened_engine(postgresql_url) as engine:
            with transaction(engine) as session:
                number = session.scalar(text("SELECT pg_backend_pid()"))
            other = create_engine(driver_url(postgresql_url))
            with other.connect() as connection:
                connection.execute(text(f"SELECT pg_terminate_backend({number})"))
            other.dispose()
            add_row(engine)
            assert rows(engine) == ["1-0"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://a@b/c", "postgresql+psycopg://a@b/c"),
        ("postgres://a@b/c", "postgresql+psycopg://a@b/c"),
        ("postgresql+psycopg://a@b/c", "postgresql+psycopg://a@b/c"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_the_driver_is_named_where_the_operator_named_none(url: str, expected: str) -> None:
    assert driver_url(url) == expected


class TestWatching:
    """What is told of each statement."""

    def test_statements_are_told_with_their_time(self, tmp_path: Path) -> None:
        told: list[tuple[str, float]] = []
        with opened_engine(sqlite_url(tmp_path)) as engine:
            watch(engine, lambda *what: told.append(what))
            add_row(engine)
            assert rows(engine) == ["1-0"]
        assert [result for result, _ in told[:2]] == ["ok", "ok"]
        assert all(0 <= seconds < 60 for _, seconds in told)

    def test_a_database_that_does_not_answer_is_an_error(self, tmp_path: Path) -> None:
        told: list[str] = []
        engine = create_engine(sqlite_url(tmp_path / "missing"))
        watch(engine, lambda result, _: told.append(result))
        assert not is_up(engine)
        assert told == ["error"]

    def test_a_fault_of_a_statement_is_not_the_databases(self, tmp_path: Path) -> None:
        told: list[str] = []
        with opened_engine(sqlite_url(tmp_path)) as engine:
            add_row(engine)
            watch(engine, lambda result, _: told.append(result))
            with pytest.raises(IntegrityError):
                add_row(engine)
            assert "error" not in told
