"""The bookkeeper between a real Redis and real databases, also while one of them is away."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Account
from ai_gateway.domain.money import Money
from ai_gateway.domain.roles import Role
from ai_gateway.errors import BudgetUnavailable, GatewayUnavailable
from ai_gateway.services.bookkeeping import BATCH_ENTRIES, Bookkeeper, BookkeeperStores
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.verification import Difference, Verification
from ai_gateway.stores import redis_keys
from ai_gateway.stores.account_totals import AccountTotals
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.meter import Granted, Stale
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.outbox_tables import SetAsideEntry
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import (
    AccountTotal,
    Base,
    LedgerEntry,
)
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyTable
from tests import postgresql
from tests.engines import another_writer, let_go, opened_engine
from tests.keys import issue
from tests.money import UTC_ZONE, MoneyStore, admitted_call, finished_call, floor, limits
from tests.postgresql import running_postgresql
from tests.redis_servers import RedisServer, running_redis
from tests.running import wait_for
from tests.sql_database import sqlite_url
from tests.tools import has_programs

SQL = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]


@pytest.fixture(scope="module")
def postgresql_url() -> Iterator[str]:
    if not has_programs("initdb", "pg_ctl"):
        pytest.skip("PostgreSQL is not here")
    with running_postgresql() as url:
        yield url


@pytest.fixture(params=SQL)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    is_sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path) if is_sqlite else request.getfixturevalue("postgresql_url")
    with opened_engine(url) as opened_one:
        yield opened_one


@dataclass
class Office:
    """A bookkeeper with all that it works with."""

    store: MoneyStore
    engine: Engine
    now: datetime

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.engine, UTC_ZONE)
        self.table = KeyTable(self.engine, {})
        self.admin = KeyAdmin(
            self.table,
            self.store.copies,
            pepper=b"pepper",
            clock=self.clock,
            random_bytes=os.urandom,
        )
        self.bookkeeper = self.hire(self.store.outbox)

    def clock(self) -> datetime:
        return self.now

    def hire(self, outbox: Outbox) -> Bookkeeper:
        stores = BookkeeperStores(outbox, self.store.published, self.ledger)
        return Bookkeeper(stores, self.admin, clock=self.clock, zone=UTC_ZONE)

    def settle(self, *numbers: int, cost: int = 40) -> None:
        """Admit and settle one call for each number."""
        for number in numbers:
            call = admitted_call(f"req_{number}", admitted_at=self.now)
            while isinstance(granted := self.store.reserve(call), Stale):
                pass  # The bookkeeper at work has published keys and rules meanwhile.
            assert isinstance(granted, Granted)
            assert self.store.meter.settle(call, finished_call(cost))

    def damage(self, name: str, value: str) -> None:
        """Let the last entry say something else, as no script of ours would."""
        *_, (stream_id, row) = self.store.stream().items()
        self.store.client.xdel(redis_keys.OUTBOX, stream_id)
        milliseconds, _, number = stream_id.partition("-")
        self.store.put(row | {name: value}, f"{milliseconds}-{int(number) + 1}")

    def count(self, table: type[Base]) -> int:
        with Session(self.engine) as session:
            return int(session.scalar(select(func.count()).select_from(table)) or 0)

    def booked(self) -> list[str]:
        with Session(self.engine) as session:
            return list(session.scalars(select(LedgerEntry.request_id).order_by(LedgerEntry.id)))

    def aside(self) -> list[str]:
        with Session(self.engine) as session:
            return list(session.scalars(select(SetAsideEntry.reason)))

    def marked(self) -> set[str]:
        query = select(AccountTotal).where(AccountTotal.is_refused)
        with Session(self.engine) as session:
            return {f"{r.scope}:{r.subject_id}:{r.window_id}" for r in session.scalars(query)}

    def differences(self) -> Sequence[Difference]:
        found = Verification(self.ledger, self.store.outbox, clock=self.clock, zone=UTC_ZONE)
        return found.differences()

    @contextmanager
    def working(self) -> Iterator[None]:
        """The loop of the bookkeeper in a thread, stopped and drained at the end."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                self.bookkeeper.run()
            except BaseException as error:  # noqa: BLE001 - told at the end of the test
                failures.append(error)

        thread = Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self.bookkeeper.stop()
            thread.join()
        assert failures == []


@contextmanager
def opened_office(url: str, engine: Engine) -> Iterator[Office]:
    with connect(url, timeout_seconds=5) as client:
        client.flushall()
        store = MoneyStore(client)
        store.open()
        yield Office(store, engine, datetime.now(UTC))


@pytest.fixture
def office(redis_server: RedisServer, engine: Engine) -> Iterator[Office]:
    with opened_office(redis_server.url, engine) as opened_one:
        yield opened_one


@pytest.fixture
def small_office(redis_server: RedisServer, tmp_path: Path) -> Iterator[Office]:
    """On SQLite alone, for what does not depend on the database."""
    with (
        opened_engine(sqlite_url(tmp_path)) as engine,
        opened_office(redis_server.url, engine) as opened_one,
    ):
        yield opened_one


class TestBooking:
    """From the outbox into the ledger."""

    def test_what_is_settled_is_booked_and_gone_from_the_outbox(self, office: Office) -> None:
        office.settle(1, 2)
        assert office.bookkeeper.book(block_ms=None) == 2
        assert office.booked() == ["req_1", "req_2"]
        assert office.store.stream() == {}
        assert office.differences() == []

    def test_an_empty_outbox_is_nothing_to_do(self, office: Office) -> None:
        assert office.bookkeeper.book(block_ms=None) == 0
        assert office.bookkeeper.book(block_ms=1) == 0

    def test_a_long_outbox_is_booked_in_batches(self, small_office: Office) -> None:
        small_office.settle(*range(BATCH_ENTRIES + 20))
        booked = [small_office.bookkeeper.book(block_ms=None) for _ in range(3)]
        assert booked == [BATCH_ENTRIES, 20, 0]
        assert small_office.count(LedgerEntry) == BATCH_ENTRIES + 20
        assert small_office.differences() == []

    def test_an_unreadable_entry_is_set_aside_and_told(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        office.settle(1, 2)
        office.damage("cost", "a lot")
        office.settle(3)
        assert office.bookkeeper.book(block_ms=None) == 3
        assert office.booked() == ["req_1", "req_3"]
        assert office.aside() == ["ValueError: invalid literal for int() with base 10: 'a lot'"]
        [told] = [r for r in caplog.records if r.levelno >= logging.ERROR]
        assert (told.getMessage(), told.__dict__["count"]) == ("ledger_entries_set_aside", 1)

    def test_an_entry_that_the_database_refuses_holds_nobody_up(self, office: Office) -> None:
        office.settle(1, 2)
        office.damage("cost", str(2**63))
        office.settle(3, 4)
        assert office.bookkeeper.book(block_ms=None) == 4
        assert office.booked() == ["req_1", "req_3", "req_4"]
        [reason] = office.aside()
        assert reason.startswith("the database refused it: ")
        assert len(reason) <= 200
        assert office.store.stream() == {}
        assert office.bookkeeper.book(block_ms=None) == 0

    def test_a_refused_entry_between_unreadable_ones_is_found(self, office: Office) -> None:
        office.settle(1)
        office.damage("facts", "{}")
        office.settle(2)
        office.damage("total", str(2**64))
        office.settle(3)
        office.bookkeeper.book(block_ms=None)
        assert office.booked() == ["req_3"]
        assert len(office.aside()) == 2

    def test_one_that_was_faster_with_a_refused_entry_is_no_fault(self, office: Office) -> None:
        """Both go through the batch one by one; the slower one gives way."""
        office.settle(1, 2)
        office.damage("cost", str(2**63))
        office.settle(*range(3, 30))
        together = Barrier(2)

        class Meeting(Outbox):
            """Both have read the batch before either books it."""

            def read(self, position: str, *, count: int, block_ms: int | None = None) -> Any:
                batch = super().read(position, count=count, block_ms=block_ms)
                together.wait()
                return batch

        booked: list[int] = []
        threads = [
            Thread(
                target=lambda: booked.append(
                    office.hire(Meeting(office.store.client)).book(block_ms=None)
                )
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert booked == [29, 29]
        while office.bookkeeper.book(block_ms=None):
            pass
        assert sorted(office.booked()) == sorted(f"req_{n}" for n in range(1, 30) if n != 2)
        assert len(office.aside()) == 1

    def test_many_bookkeepers_book_each_call_once(self, office: Office) -> None:
        office.settle(*range(60))
        together = Barrier(3)

        def work() -> None:
            bookkeeper = office.hire(office.store.outbox)
            together.wait()
            while bookkeeper.book(block_ms=None):
                pass

        threads = [Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert office.booked() == [f"req_{number}" for number in range(60)]
        assert office.differences() == []


class TurnedRedis(PublishedState):
    """Its clock can be turned."""

    by = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.by


class TestReaping:
    """Calls whose worker is gone."""

    def test_a_lapsed_call_is_booked_at_its_floor(self, small_office: Office) -> None:
        call = admitted_call("req_1", admitted_at=small_office.now)
        running = admitted_call("req_2", admitted_at=small_office.now)
        for one in (call, running):
            small_office.store.reserve(one, lost=floor(30))
        small_office.store.let_lapse(call)
        assert small_office.bookkeeper.reap() == 1
        assert small_office.bookkeeper.reap() == 0
        assert small_office.store.counters(call) == [(30, 100)] * 5
        small_office.bookkeeper.book(block_ms=None)
        assert small_office.booked() == ["req_1"]

    def test_nothing_is_taken_for_lapsed_while_the_clock_of_redis_jumps(
        self, small_office: Office
    ) -> None:
        """Every lease is over at once then, and their workers live."""
        call = admitted_call("req_1", admitted_at=small_office.now)
        small_office.store.reserve(call, lost=floor(30))
        turned = TurnedRedis(small_office.store.client)
        stores = BookkeeperStores(small_office.store.outbox, turned, small_office.ledger)
        reaper = Bookkeeper(stores, small_office.admin, clock=small_office.clock, zone=UTC_ZONE)
        assert reaper.reap() == 0
        turned.by = timedelta(hours=1)
        small_office.store.let_lapse(call)
        assert [reaper.reap(), reaper.reap()] == [0, 0]
        reaper.write_figures()
        assert turned.figures()["clock_jump_total"] == "1"
        assert small_office.bookkeeper.reap() == 1

    def test_bookkeepers_that_reap_at_once_book_it_once(self, small_office: Office) -> None:
        calls = [admitted_call(f"req_{n}", admitted_at=small_office.now) for n in range(40)]
        for call in calls:
            small_office.store.reserve(call, lost=floor(30))
        small_office.store.let_lapse(*calls)
        reaped: list[int] = []
        threads = [
            Thread(target=lambda: reaped.append(small_office.bookkeeper.reap())) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(reaped) == 40
        assert small_office.store.counters(calls[0]) == [(1200, 0)] * 5
        small_office.bookkeeper.book(block_ms=None)
        assert sorted(small_office.booked()) == sorted(call.request_id for call in calls)


class TestRestoring:
    """Redis has lost everything."""

    def test_keys_and_counters_come_back(self, office: Office) -> None:
        users = UserTable(office.engine)
        user_id = users.add("ann", "a@b", password_hash=None, role=Role.NONE, now=office.now)
        issue(office.admin, user_id)
        [record] = office.table.records()
        call = admitted_call("req_1", record=record, admitted_at=office.now)
        office.store.reserve(call)
        office.store.meter.settle(call, finished_call(40))
        office.bookkeeper.book(block_ms=None)
        version = office.store.version(record.key_id)
        office.store.client.flushall()

        with pytest.raises(BudgetUnavailable) as caught:
            office.store.meter.reserve(office.store.request(call, version=version))
        assert caught.value.kind == "cold"
        assert office.bookkeeper.restore() is True
        assert office.store.copies.load(record.key_id) == (record, version)
        assert office.store.counters(call) == [(40, 0)] * 5
        assert office.store.meter.is_ready()
        assert office.differences() == []

        again = replace(call, request_id="req_2")
        office.store.reserve(again, limits(140))
        office.store.meter.settle(again, finished_call(1))
        assert office.bookkeeper.book(block_ms=None) == 1
        assert office.differences() == []

    def test_accounts_are_forgotten_when_those_of_a_call_would_be(self, office: Office) -> None:
        office.settle(1)
        office.bookkeeper.book(block_ms=None)
        names = [
            redis_keys.account(account)
            for account in admitted_call(admitted_at=office.now).accounts
        ]
        before = [office.store.client.expiretime(name) for name in names]
        office.store.client.flushall()
        office.bookkeeper.restore()
        assert [office.store.client.expiretime(name) for name in names] == before

    def test_what_waits_is_booked_before_the_counters_are_written(self, office: Office) -> None:
        office.settle(1)
        office.store.client.hdel(redis_keys.META, "epoch")
        assert office.bookkeeper.restore() is True
        assert office.booked() == ["req_1"]
        assert office.store.counters(admitted_call(admitted_at=office.now)) == [(40, 0)] * 5

    def test_holds_of_running_calls_stand(self, office: Office) -> None:
        call = admitted_call("req_1", 100, admitted_at=office.now)
        office.store.reserve(call)
        office.settle(2)
        office.store.client.hdel(redis_keys.META, "epoch")
        assert office.bookkeeper.restore() is True
        assert office.store.counters(call) == [(40, 100)] * 5

    def test_a_call_that_settles_while_counters_are_read_is_in_them(self, office: Office) -> None:
        """Redis went back in time: its calls run on, and end when they like."""
        users = UserTable(office.engine)
        user_id = users.add("ann", "a@b", password_hash=None, role=Role.NONE, now=office.now)
        issue(office.admin, user_id)
        [record] = office.table.records()
        earlier, running = (
            admitted_call(name, 100, record=record, admitted_at=office.now)
            for name in ("req_2", "req_1")
        )
        for call in (earlier, running):
            office.store.reserve(call)
        office.store.meter.settle(earlier, finished_call(40))
        office.bookkeeper.book(block_ms=None)
        office.store.client.hdel(redis_keys.META, "epoch")

        class Slow(AccountTotals):
            def spent(self, windows: Sequence[str]) -> Iterator[tuple[Account, Money]]:
                yield from super().spent(windows)
                office.store.meter.settle(running, finished_call(60))

        slow = Ledger(office.engine, UTC_ZONE)
        slow.totals = Slow(office.engine)
        stores = BookkeeperStores(office.store.outbox, office.store.published, slow)
        restorer = Bookkeeper(stores, office.admin, clock=office.clock, zone=UTC_ZONE)
        assert restorer.restore() is True
        assert office.store.counters(running) == [(100, 0)] * 5
        assert office.differences() == []

    def test_counters_that_can_be_trusted_are_let_be(self, office: Office) -> None:
        office.settle(1)
        before = office.store.dump()
        assert office.bookkeeper.restore() is False
        assert office.store.dump() == before

    def test_a_redis_whose_clock_is_behind_loses_no_entry(self, office: Office) -> None:
        seconds, _ = office.store.client.time()
        office.settle(1)
        [row] = office.store.entries()
        office.store.put(row | {"request_id": "req_9"}, f"{(seconds + 3600) * 1000}-0")
        office.bookkeeper.book(block_ms=None)
        office.store.client.flushall()
        office.bookkeeper.restore()
        office.store.open()
        office.settle(2)
        assert office.bookkeeper.book(block_ms=None) == 1
        assert office.booked() == ["req_1", "req_9", "req_2"]

    def test_counters_are_not_trusted_while_keys_are_missing(self, small_office: Office) -> None:
        small_office.store.client.flushall()
        with small_office.engine.begin() as connection:
            connection.execute(text("ALTER TABLE virtual_key RENAME TO hidden"))
        with pytest.raises(GatewayUnavailable):
            small_office.bookkeeper.restore()
        assert small_office.store.published.has_epoch() is False
        with small_office.engine.begin() as connection:
            connection.execute(text("ALTER TABLE hidden RENAME TO virtual_key"))

    def test_what_redis_alone_has_counts_for_nothing(self, office: Office) -> None:
        """The ledger came back from an older copy: no booked call stands for that money."""
        call = admitted_call(admitted_at=office.now)
        for account in call.accounts:
            office.store.client.hset(redis_keys.account(account), "spent", "70")
        assert office.differences()
        office.bookkeeper.distrust()
        assert office.bookkeeper.restore() is True
        assert office.store.counters(call) == [(0, 0)] * 5
        assert office.differences() == []

    def test_bookkeepers_at_once_come_to_the_same(self, office: Office) -> None:
        """No leader: one claims it, the others let it be or go on where it was left."""
        for number in range(3):
            office.settle(number)
        office.bookkeeper.book(block_ms=None)
        before = office.store.counters(admitted_call(admitted_at=office.now))
        office.store.client.flushall()
        stores = (Outbox(office.store.client), PublishedState(office.store.client))
        ledger = Ledger(office.engine, UTC_ZONE)
        bookkeepers = [
            Bookkeeper(
                BookkeeperStores(*stores, ledger), office.admin, clock=office.clock, zone=UTC_ZONE
            )
            for _ in range(3)
        ]
        with ThreadPoolExecutor(3) as pool:
            done = [pool.submit(one.restore) for one in bookkeepers]
            assert any(one.result() for one in done)
        assert office.store.counters(admitted_call(admitted_at=office.now)) == before
        assert office.differences() == []


class TestFigures:
    """What pages and scrapes are told."""

    def test_a_refusal_is_shown_until_the_next_success(self, office: Office) -> None:
        refused = admitted_call("req_1", 100, admitted_at=office.now)
        office.store.reserve(refused, limits(1000, 50))
        office.bookkeeper.mirror_refusals()
        assert office.marked() == {refused.accounts[1].name}
        office.store.reserve(admitted_call("req_2", 10, admitted_at=office.now), limits(1000, 50))
        office.bookkeeper.mirror_refusals()
        assert office.marked() == set()

    def test_a_new_day_starts_without_a_mark(self, office: Office) -> None:
        refused = admitted_call("req_1", 100, admitted_at=office.now)
        office.store.reserve(refused, limits(1000, 50))
        office.now += timedelta(days=1)
        office.bookkeeper.mirror_refusals()
        assert office.marked() == set()

    def test_the_spend_of_the_windows_and_the_lag_are_published(self, office: Office) -> None:
        office.settle(1)
        office.bookkeeper.book(block_ms=None)
        office.settle(2)
        office.bookkeeper.write_figures()
        figures = office.store.published.figures()
        assert figures["ledger_spend_usd|day"] == figures["ledger_spend_usd|month"] == "40"
        assert 0 < float(figures["ledger_lag_seconds"]) < 60
        assert figures["updated_at"] == office.now.isoformat()


class TestRunning:
    """The loop, and what it outlives."""

    def test_it_books_what_comes(self, small_office: Office) -> None:
        with small_office.working():
            for number in range(3):
                small_office.settle(number)
                wait_for(lambda n=number: len(small_office.booked()) == n + 1, "it is booked")  # type: ignore[misc]  # the loop's own value

    def test_it_drains_before_it_stops(self, small_office: Office) -> None:
        small_office.settle(*range(BATCH_ENTRIES + 1))
        small_office.bookkeeper.stop()
        small_office.bookkeeper.run()
        assert len(small_office.booked()) == BATCH_ENTRIES + 1

    def test_it_restores_a_redis_that_lost_everything(self, small_office: Office) -> None:
        small_office.settle(1)
        with small_office.working():
            wait_for(small_office.booked, "it is booked")
            small_office.store.client.flushall()
            wait_for(small_office.store.meter.is_ready, "the counters are back")
        assert small_office.store.counters(admitted_call(admitted_at=small_office.now))[0] == (
            40,
            0,
        )

    def test_a_duty_that_always_fails_does_not_stop_the_money(
        self, small_office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        small_office.store.client.set(redis_keys.FIGURE_COUNTS, "no hash")
        small_office.store.client.set(redis_keys.REFUSED, "no set")
        with small_office.working():
            small_office.settle(1)
            wait_for(small_office.booked, "it is booked")
        assert waits(caplog) == {"figures", "mirror_refusals"}

    def test_what_redis_wrote_goes_to_the_disk_each_second(
        self, small_office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Also after the disk refused it once."""
        writes: list[float] = []

        def write_to_disk() -> None:
            writes.append(time.monotonic())
            if len(writes) == 1:
                raise GatewayUnavailable

        stores = BookkeeperStores(
            small_office.store.outbox,
            small_office.store.published,
            small_office.ledger,
            write_to_disk,
        )
        small_office.bookkeeper = Bookkeeper(
            stores, small_office.admin, clock=small_office.clock, zone=UTC_ZONE
        )
        with small_office.working():
            wait_for(lambda: len(writes) >= 3, "it is written")
        assert all(later - earlier > 0.9 for earlier, later in pairwise(writes))
        assert waits(caplog) == {"write_to_disk"}

    def test_it_waits_for_another_process_that_writes_sqlite(
        self, small_office: Office, tmp_path: Path
    ) -> None:
        assert small_office.ledger.position()
        with small_office.working(), another_writer(tmp_path / "test.db") as process:
            small_office.settle(1)
            assert small_office.booked() == []
            let_go(process)
            wait_for(small_office.booked, "it is booked")
        assert small_office.booked() == ["req_1"]

    def test_it_goes_on_after_redis_was_away(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with (
            running_redis() as server,
            opened_engine(sqlite_url(tmp_path)) as engine,
            opened_office(server.url, engine) as office,
            office.working(),
        ):
            office.settle(1)
            wait_for(office.booked, "it is booked")
            server.kill()
            with pytest.raises(BudgetUnavailable):
                office.bookkeeper.book(block_ms=None)
            wait_for(lambda: "book" in waits(caplog), "the loop has seen it")
            server.start()
            office.settle(2)
            wait_for(lambda: len(office.booked()) == 2, "it goes on")
            assert office.differences() == []

    @pytest.mark.postgresql
    def test_it_goes_on_after_postgresql_was_away(
        self, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        if not has_programs("initdb", "pg_ctl"):
            pytest.skip("PostgreSQL is not here")
        with (
            running_postgresql() as url,
            opened_engine(url) as engine,
            opened_office(redis_server.url, engine) as office,
            office.working(),
        ):
            office.settle(1)
            wait_for(office.booked, "it is booked")
            pg_ctl(url, "stop")
            with pytest.raises(GatewayUnavailable):
                office.bookkeeper.book(block_ms=None)
            office.settle(2, 3)
            wait_for(lambda: "book" in waits(caplog), "the loop has seen it")
            assert len(office.store.stream()) == 2
            pg_ctl(url, "start")
            wait_for(lambda: len(office.booked()) == 3, "it goes on")
            wait_for(lambda: not office.store.stream(), "it is trimmed")
            assert office.differences() == []


def waits(caplog: pytest.LogCaptureFixture) -> set[str]:
    """The duties that could not be done."""
    return {r.__dict__["duty"] for r in caplog.records if r.msg == "bookkeeper_waits"}


def pg_ctl(url: str, order: str) -> None:
    """Stop or start the server of a URL."""
    [folder] = parse_qs(urlsplit(url).query)["host"]
    options = ("-w", "-o", f"-k {folder} -c listen_addresses='' -F") if order == "start" else ()
    user = postgresql.ACCOUNT if os.geteuid() == 0 else None
    postgresql._run("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", *options, order, user=user)
