"""The meter as the services see it: counters, readiness, and a Redis that is away."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread

import pytest

from ai_gateway.domain.money import Money
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import Counters, Denied, Granted, Meter
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.virtual_keys import KeyCopies
from tests.money import KEY_ID, Invariants, MoneyStore, admitted_call, finished_call, floor, limits
from tests.redis_servers import RedisServer, running_redis
from tests.trusting import trust

CALLS: dict[str, Callable[[MoneyStore], object]] = {
    "reserve": lambda store: store.meter.reserve(store.request(admitted_call(), version="1")),
    "settle": lambda store: store.meter.settle(admitted_call(), finished_call(1)),
    "heartbeat": lambda store: store.meter.heartbeat([(admitted_call(), floor())]),
    "rehold": lambda store: store.meter.rehold(admitted_call(), limits()),
    "counters": lambda store: store.meter.counters(admitted_call().accounts),
    "is_ready": lambda store: store.meter.is_ready(),
    "read": lambda store: store.outbox.read("0-0", count=1),
    "trim": lambda store: store.outbox.trim("1-0"),
    "age": lambda store: store.outbox.oldest_age_seconds("0-0"),
    "lapsed": lambda store: store.outbox.lapsed(count=1),
    "snapshot": lambda store: store.outbox.snapshot("0-0", ()),
    "has_epoch": lambda store: store.published.has_epoch(),
    "restore": lambda store: trust(store.client),
    "refused": lambda store: store.published.refused(),
    "write_figures": lambda store: store.published.write_figures({"a": 1}),
    "figures": lambda store: store.published.figures(),
    "load": lambda store: store.copies.load("k0000001"),
    "publish": lambda store: store.open(),
}
WITHIN_SECONDS = 2.0
"""A new call may wait for a second (money.md 1.11); the other one is for a busy machine."""


@pytest.fixture
def away(tmp_path: Path) -> Iterator[MoneyStore]:
    with connect(f"unix://{tmp_path}/nobody.sock") as client:
        yield MoneyStore(client)


@pytest.fixture
def silent() -> Iterator[MoneyStore]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with connect(f"redis://127.0.0.1:{port}", timeout_seconds=0.05) as client:
            yield MoneyStore(client)


@pytest.mark.parametrize("name", CALLS)
def test_a_redis_that_is_away_is_told(away: MoneyStore, name: str) -> None:
    with pytest.raises(BudgetUnavailable) as caught:
        CALLS[name](away)
    assert caught.value.kind == "connection"


@pytest.mark.parametrize("name", CALLS)
def test_a_redis_that_is_silent_is_told(silent: MoneyStore, name: str) -> None:
    with pytest.raises(BudgetUnavailable) as caught:
        CALLS[name](silent)
    assert caught.value.kind == "timeout"


def test_a_redis_that_stands_still_is_told_in_time() -> None:
    with running_redis() as server, connect(server.url) as client:
        store = MoneyStore(client)
        store.open()
        number = client.info("server")["process_id"]
        os.kill(number, signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises(BudgetUnavailable) as caught:
                store.meter.is_ready()
        finally:
            took = time.monotonic() - started
            os.kill(number, signal.SIGCONT)
        assert caught.value.kind == "timeout"
        assert took < WITHIN_SECONDS
        assert store.meter.is_ready()


@pytest.mark.parametrize("kind", ["valkey", pytest.param("redis", marks=pytest.mark.redis)])
def test_what_was_acknowledged_outlives_a_crash_of_the_server(kind: str) -> None:
    with running_redis("redis" if kind == "redis" else "valkey") as server:
        with connect(server.url) as client:
            store = MoneyStore(client)
            store.open()
            for number in range(50):
                call = admitted_call(f"req_{number}", 100)
                store.reserve(call)
                if number % 2:
                    store.meter.settle(call, finished_call(number))
        server.kill()
        server.start()
        with connect(server.url) as client:
            store = MoneyStore(client)
            assert store.counters(admitted_call()) == [(sum(range(1, 50, 2)), 2500)] * 5
            Invariants(store).check()


def test_the_same_client_goes_on_after_the_server_was_away() -> None:
    with running_redis() as server, connect(server.url) as client:
        store = MoneyStore(client)
        store.open()
        call = admitted_call()
        store.reserve(call)
        server.stop()
        with pytest.raises(BudgetUnavailable):
            store.meter.settle(call, finished_call(40))
        server.start()
        assert store.meter.settle(call, finished_call(40))
        assert store.counters(call) == [(40, 0)] * 5


def test_counters_that_cannot_be_trusted_are_told(store: MoneyStore) -> None:
    assert store.meter.is_ready() is True
    store.client.hdel(redis_keys.META, "epoch")
    assert store.meter.is_ready() is False


def test_accounts_that_nobody_used_have_nothing(store: MoneyStore) -> None:
    call = admitted_call()
    nothing = Counters(Money(0), Money(0), is_refused=False)
    assert store.meter.counters(call.accounts) == [nothing] * 5
    assert store.meter.counters([]) == []


def test_no_call_under_way_is_no_heartbeat(store: MoneyStore) -> None:
    assert store.meter.heartbeat([]) == []


class TestAtTheEdgeOfALimit:
    """Many workers at once, and room for a few."""

    WORKERS = 8
    CALLS_EACH = 60
    HOLD = 10
    LIMIT = 1000

    def test_nothing_is_admitted_above_it(
        self, store: MoneyStore, invariants: Invariants, request: pytest.FixtureRequest
    ) -> None:
        """While holds become costs, the sum never passes the limit, and all of it is used."""
        answers: list[Granted | Denied] = []
        together = Barrier(self.WORKERS)
        url = _server_of(request).url
        threads = [
            Thread(target=self._work, args=(url, number, together, answers))
            for number in range(self.WORKERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == self.WORKERS * self.CALLS_EACH
        for answer in answers:
            if isinstance(answer, Denied):
                assert answer.spent + answer.held <= answer.limit
                assert answer.spent + answer.held + self.HOLD > answer.limit
        assert store.counters(admitted_call()) == [(self.LIMIT, 0)] * 5
        invariants.check()

    def _work(
        self, url: str, number: int, together: Barrier, answers: list[Granted | Denied]
    ) -> None:
        with connect(url, timeout_seconds=30) as client:
            store = MoneyStore(client)
            together.wait()
            for count in range(self.CALLS_EACH):
                call = admitted_call(f"req_{number}_{count}", self.HOLD)
                answer = store.reserve(call, limits(self.LIMIT))
                assert isinstance(answer, Granted | Denied)
                answers.append(answer)
                if isinstance(answer, Granted):
                    store.meter.settle(call, finished_call(self.HOLD))


def _server_of(request: pytest.FixtureRequest) -> RedisServer:
    kind = request.node.callspec.params["store"]
    server: RedisServer = request.getfixturevalue(
        "valkey_server" if kind == "valkey" else "debian_server"
    )
    return server


def test_a_client_never_repeats_by_itself() -> None:
    """A reply that is lost is not asked for again: whether to repeat is decided above."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def hang_up() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                taken.append(connection.recv(1))
                connection.close()

        listener = Thread(target=hang_up)
        listener.start()
        port = server.getsockname()[1]
        with connect(f"redis://127.0.0.1:{port}") as client, pytest.raises(BudgetUnavailable):
            MoneyStore(client).meter.settle(admitted_call(), finished_call(1))
        server.shutdown(socket.SHUT_RDWR)
        listener.join()
    assert len(taken) == 1


def test_each_answer_is_told_with_its_time(store: MoneyStore) -> None:
    told: list[tuple[str, str, float]] = []
    meter = Meter(store.client, told=lambda *what: told.append(what))
    call = admitted_call("req_1", 30)
    meter.reserve(store.request(call))
    meter.reserve(store.request(call))
    meter.reserve(store.request(admitted_call("req_2", 30), limits(5)))
    meter.rehold(call, limits())
    meter.settle(call, finished_call(7))
    meter.settle(admitted_call("req_3"), finished_call(7))
    meter.withdraw(admitted_call("req_4"))
    assert [(question, answer) for question, answer, _ in told] == [
        ("reserve", "OK"),
        ("reserve", "DUP"),
        ("reserve", "DENY"),
        ("rehold", "OK"),
        ("settle", "OK"),
        ("settle", "UNKNOWN"),
        ("withdraw", "OK"),
    ]
    assert all(0 < seconds < WITHIN_SECONDS for *_, seconds in told)


def test_key_that_a_worker_does_not_know_yet_is_a_question_that_is_told_too(
    store: MoneyStore, away: MoneyStore
) -> None:
    told: list[tuple[str, str]] = []
    for client in (store.client, away.client):
        copies = KeyCopies(client, told=lambda question, answer, _: told.append((question, answer)))
        with suppress(BudgetUnavailable):
            copies.load_with_rules(KEY_ID)
    assert told == [("load_key", "OK"), ("load_key", "connection")]


def test_error_is_told_by_its_kind(away: MoneyStore) -> None:
    told: list[tuple[str, str]] = []
    meter = Meter(away.client, told=lambda question, answer, _: told.append((question, answer)))
    with pytest.raises(BudgetUnavailable):
        meter.settle(admitted_call(), finished_call(1))
    assert told == [("settle", "connection")]
