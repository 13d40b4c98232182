"""A Redis that is emptied or goes back in time loses no call that a worker still knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.call import AdmittedCall, FinishedCall
from ai_gateway.domain.money import Money
from ai_gateway.providers.provider import Provider
from ai_gateway.services.admission import Admitted
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.models import PriceBook
from ai_gateway.services.recovery import Recovery
from ai_gateway.services.settlement import SettlementMemory
from ai_gateway.services.verification import Verification
from ai_gateway.stores import redis_keys
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.lost_records import LostRecords
from ai_gateway.stores.meter import Heartbeat, Meter
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import LedgerEntry
from ai_gateway.stores.virtual_keys import KeyTable
from tests.engines import opened_engine
from tests.money import (
    UNLIMITED,
    UTC_ZONE,
    MoneyStore,
    admitted_call,
    finished_call,
    floor,
    key_record,
)
from tests.redis_servers import RedisServer, running_redis
from tests.sql_database import sqlite_url

PROVIDER = Provider("openai", "openai", "http://127.0.0.1:1", "key")
BOOK = PriceBook(Catalog({}))


@dataclass
class Worker:
    """What one worker has in memory, and a bookkeeper beside it."""

    store: MoneyStore
    engine: Engine

    def __post_init__(self) -> None:
        self.meter: Meter = self.store.meter
        self.memory = SettlementMemory()
        records = LostRecords(self.store.client, self.engine)
        self.recovery = Recovery(self.meter, records, self.memory, UTC_ZONE)
        self.ledger = Ledger(self.engine, UTC_ZONE)
        admin = KeyAdmin(
            KeyTable(self.engine, {}),
            self.store.copies,
            pepper=b"p",
            clock=self.clock,
            random_bytes=bytes,
        )
        stores = BookkeeperStores(self.store.outbox, self.store.published, self.ledger)
        self.bookkeeper = Bookkeeper(stores, admin, clock=self.clock, zone=UTC_ZONE)
        self.recovery.watch()

    def clock(self) -> datetime:
        return datetime.now(UTC)

    def admit(self, name: str, held: int = 100) -> AdmittedCall:
        call = admitted_call(name, held=held)
        self.store.reserve(call)
        return call

    def settle(self, call: AdmittedCall, cost: int) -> FinishedCall:
        finished = finished_call(cost)
        is_booked = self.meter.settle(call, finished)
        self.memory.keep(call, finished, is_booked=is_booked)
        return finished

    def book(self) -> None:
        while self.bookkeeper.book(block_ms=None):
            pass

    def restore(self) -> None:
        """The bookkeeper's turn, the key published again, then the worker's turn."""
        assert self.bookkeeper.restore()
        self.store.copies.publish([key_record()])
        self.recovery.watch()
        self.recovery.settle_lost()
        self.book()

    def sums(self) -> dict[str, tuple[int, list[int]]]:
        """What the ledger has: cost and entry numbers of each call."""
        found: dict[str, tuple[int, list[int]]] = {}
        with Session(self.engine) as session:
            for row in session.scalars(select(LedgerEntry).order_by(LedgerEntry.id)):
                cost, numbers = found.get(row.request_id, (0, []))
                found[row.request_id] = (cost + row.cost_nano_usd, [*numbers, row.entry_no])
        return found

    def is_proved(self) -> bool:
        proof = Verification(self.ledger, self.store.outbox, clock=self.clock, zone=UTC_ZONE)
        return proof.differences() == []


def admitted(call: AdmittedCall) -> Admitted:
    return Admitted(call, PROVIDER, call.model, None, UNLIMITED, 10, BOOK)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis("valkey") as running:
        yield running


@pytest.fixture
def worker(server: RedisServer, tmp_path: Path) -> Iterator[Worker]:
    with connect(server.url) as client, opened_engine(sqlite_url(tmp_path)) as engine:
        client.flushall()
        store = MoneyStore(client)
        store.open()
        yield Worker(store, engine)


def snapshot(worker: Worker) -> dict[str, bytes]:
    """Every key as Redis would write it to its disk."""
    client = worker.store.client
    names = [name for name in worker.store.names("") if client.exists(name)]
    with connect_raw(worker) as raw:
        return {name: raw.dump(name) for name in names}


def connect_raw(worker: Worker) -> "redis.Redis":
    """A client that leaves bytes as they are."""
    options = dict(worker.store.client.connection_pool.connection_kwargs)
    return redis.Redis(unix_socket_path=options["path"], decode_responses=False)


def go_back(worker: Worker, state: dict[str, bytes]) -> None:
    """Let Redis have the state of an earlier moment, as after a power loss."""
    with connect_raw(worker) as raw:
        raw.flushall()
        for name, value in state.items():
            raw.restore(name, 0, value)


def test_call_that_was_running_when_redis_was_emptied_is_booked_once(worker: Worker) -> None:
    call = worker.admit("req_running")
    worker.store.client.flushall()
    worker.restore()
    worker.settle(call, 40)
    worker.recovery.settle_lost()
    worker.book()
    assert worker.sums() == {"req_running": (40, [1])}
    assert worker.store.counters(call) == [(40, 0)] * 5
    assert worker.is_proved()


def test_running_call_holds_again_after_redis_was_emptied(worker: Worker) -> None:
    call = worker.admit("req_running")
    worker.store.client.flushall()
    assert worker.meter.heartbeat([(call, floor())]) == [Heartbeat.GONE]
    assert not worker.recovery.adopt(admitted(call), floor())
    worker.restore()
    assert worker.recovery.adopt(admitted(call), floor())
    assert worker.store.counters(call) == [(0, 100)] * 5
    assert worker.meter.heartbeat([(call, floor())]) == [Heartbeat.OK]
    worker.settle(call, 40)
    worker.book()
    assert worker.sums() == {"req_running": (40, [1])}
    assert worker.store.counters(call) == [(40, 0)] * 5


@pytest.mark.parametrize("books", [1, 0], ids=["booked before", "not booked before"])
def test_settled_call_that_redis_forgot_is_booked_once(worker: Worker, books: int) -> None:
    call = worker.admit("req_settled")
    before = snapshot(worker)
    worker.settle(call, 40)
    for _ in range(books):
        worker.book()
    go_back(worker, before)
    later = worker.admit("req_later")
    worker.settle(later, 7)
    assert worker.meter.went_back
    worker.recovery.watch()
    assert not worker.store.published.has_epoch()
    worker.restore()
    assert worker.sums()["req_settled"] == (40, [1])
    assert worker.sums()["req_later"] == (7, [1])
    assert worker.store.counters(call) == [(47, 0)] * 5
    assert worker.is_proved()


def test_roll_back_that_a_worker_notices_first_is_counted_once(worker: Worker) -> None:
    call = worker.admit("req_settled")
    before = snapshot(worker)
    worker.settle(call, 40)
    go_back(worker, before)
    worker.settle(worker.admit("req_later"), 7)
    for _ in range(2):
        worker.recovery.watch()
    counted = worker.store.published.figures()["ledger_epoch_rollbacks_total"]
    assert counted == "1"


def test_emptied_redis_gets_the_counters_of_the_ledger(worker: Worker) -> None:
    call = worker.admit("req_settled")
    worker.settle(call, 40)
    worker.book()
    worker.store.client.flushall()
    worker.restore()
    assert worker.store.counters(call) == [(40, 0)] * 5
    assert worker.sums() == {"req_settled": (40, [1])}
    assert worker.is_proved()


def test_settlement_that_neither_redis_nor_the_ledger_has_is_booked_again(worker: Worker) -> None:
    call = worker.admit("req_settled")
    worker.settle(call, 40)
    worker.store.client.flushall()
    worker.restore()
    assert worker.sums() == {"req_settled": (40, [1])}
    assert worker.store.counters(call) == [(40, 0)] * 5
    assert worker.is_proved()


def test_bookkeeper_alone_notices_a_redis_that_is_behind_the_ledger(worker: Worker) -> None:
    before = snapshot(worker)
    worker.settle(worker.admit("req_settled"), 40)
    worker.book()
    go_back(worker, before)
    assert worker.bookkeeper.watch_sequence()
    assert not worker.store.published.has_epoch()
    worker.restore()
    assert not worker.bookkeeper.watch_sequence()
    assert worker.is_proved()


def test_new_epoch_is_not_forgotten_by_a_worker_that_comes_late(worker: Worker) -> None:
    worker.settle(worker.admit("req_settled"), 40)
    worker.book()
    worker.store.client.flushall()
    worker.restore()
    epoch = worker.store.client.hget(redis_keys.META, "epoch")
    worker.settle(worker.admit("req_later"), Money(7))
    worker.recovery.watch()
    assert worker.store.client.hget(redis_keys.META, "epoch") == epoch


def go_back_unseen(worker: Worker, state: dict[str, bytes]) -> None:
    """The same, and a call of another worker brings the sequence up before this one looks."""
    go_back(worker, state)
    another = MoneyStore(worker.store.client)
    other = admitted_call("req_other", held=100)
    another.reserve(other)
    another.meter.settle(other, finished_call(5))


def test_what_a_new_server_lacks_is_noticed_although_others_brought_its_sequence_up(
    worker: Worker, server: RedisServer
) -> None:
    call = worker.admit("req_settled")
    before = snapshot(worker)
    worker.settle(call, 40)
    go_back_unseen(worker, before)
    server.kill()
    server.start()
    worker.settle(worker.admit("req_later"), 7)
    assert not worker.meter.went_back
    worker.recovery.watch()
    assert not worker.store.published.has_epoch()
    worker.restore()
    assert worker.sums() == {"req_other": (5, [1]), "req_later": (7, [1]), "req_settled": (40, [1])}
    assert worker.is_proved()


def test_a_new_server_that_has_everything_is_trusted(worker: Worker, server: RedisServer) -> None:
    """As after a restart, a planned failover, or where the slot moved."""
    worker.settle(worker.admit("req_settled"), 40)
    server.kill()
    server.start()
    for _ in range(2):
        worker.recovery.watch()
    assert worker.store.published.has_epoch()
    assert worker.memory.recent() == ["req_settled"]


def test_a_number_that_is_given_twice_is_noticed_when_it_is_booked(worker: Worker) -> None:
    """The first was booked and then lost by Redis, whose sequence is no lower by now."""
    before = snapshot(worker)
    worker.settle(worker.admit("req_settled"), 40)
    worker.book()
    go_back_unseen(worker, before)
    assert not worker.bookkeeper.watch_sequence()
    worker.book()
    assert not worker.store.published.has_epoch()
    worker.restore()
    assert worker.sums() == {"req_settled": (40, [1]), "req_other": (5, [1])}
    assert worker.is_proved()
