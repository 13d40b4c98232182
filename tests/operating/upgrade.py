"""An upgrade without loss: new workers beside old ones, which stop with streams open.

`two_gateways`: another gateway on the same stores takes over, and the old one gets SIGTERM.
`new_workers`: gunicorn's own way, SIGHUP to its master; the port stays the same.
"""

import os
import secrets
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from sqlalchemy.engine import make_url

from tests.e2e.caller import Caller, Stream
from tests.e2e.processes import child, workers
from tests.redis_servers import RedisServer, running_redis
from tests.running import RunningGateway, wait_for

STREAMS = 20
SECONDS_OF_A_STREAM = 8
LAST_EVENT = b"data: [DONE]"
PROMPT = f"[[tokens={20 * SECONDS_OF_A_STREAM}]] [[pace=50]]"


@dataclass(frozen=True, slots=True)
class Switch:
    """What clients and the ledger say of it."""

    whole_streams: int
    answers: Counter[int]
    calls_in_ledger: int
    calls_sent: int
    exit_code: int
    verdict: str

    def faults(self) -> list[str]:
        """What must not be."""
        found = []
        if self.whole_streams != STREAMS:
            found.append(f"{STREAMS - self.whole_streams} streams are not whole")
        if set(self.answers) != {200}:
            found.append(f"calls were answered {dict(self.answers)}")
        if self.calls_in_ledger != self.calls_sent:
            found.append(f"{self.calls_sent} calls, {self.calls_in_ledger} in the ledger")
        if self.exit_code != 0:
            found.append(f"the old one ended with {self.exit_code}")
        if "agree" not in self.verdict:
            found.append(self.verdict)
        return found


class SharedGateway(RunningGateway):
    """One of several on a Redis and a database that are not its own."""

    def __init__(self, folder: Path, variables: dict[str, str], server: RedisServer) -> None:
        folder.mkdir()
        super().__init__(folder, variables)
        self._server = server

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        path = make_url(self.environment["DATABASE_URL"]).database
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]

    def store(self) -> "redis.Redis":
        return redis.Redis.from_url(self._server.url, decode_responses=True)


def two_gateways() -> Switch:
    """The old one has streams when a new one starts, takes all calls, and sees it stop."""
    with stores() as (folder, server, variables):
        old = SharedGateway(folder / "old", variables, server)
        new = SharedGateway(folder / "new", variables, server)
        try:
            old.start()
            key = old.make_key(daily="1000", monthly="1000")
            before, after = Caller(old, key), Caller(new, key)
            streams = open_streams(before)
            with calling(before) as first:
                new.start()
            with calling(after) as second:
                exit_code = old.stop()
                whole = read_all(streams)
            return judged(new, whole, first + second, exit_code)
        finally:
            old.end()
            new.end()


def new_workers() -> Switch:
    """Gunicorn starts workers anew, while the old ones end their streams."""
    with stores() as (folder, server, variables):
        gateway = SharedGateway(folder / "one", variables, server)
        try:
            gateway.start()
            caller = Caller(gateway, gateway.make_key(daily="1000", monthly="1000"))
            streams, old = open_streams(caller), set(workers(gateway))
            with calling(caller) as answers:
                os.kill(child(gateway, "gunicorn"), signal.SIGHUP)
                whole = read_all(streams)
                wait_for(lambda: old.isdisjoint(workers(gateway)), "the old workers are gone")
            return judged(gateway, whole, answers, 0)
        finally:
            gateway.end()


WAYS: dict[str, Callable[[], Switch]] = {
    "two gateways": two_gateways,
    "new workers": new_workers,
}


@contextmanager
def stores() -> Iterator[tuple[Path, RedisServer, dict[str, str]]]:
    """A folder, a Redis, and the variables of gateways that share it and a database."""
    with tempfile.TemporaryDirectory(prefix="up-") as name, running_redis() as server:
        yield (
            Path(name),
            server,
            {
                "REDIS_URL": server.url,
                "DATABASE_URL": f"sqlite:///{name}/gateway.db",
                "SECRET_KEY": secrets.token_hex(),
                "AI_GATEWAY_KEY_PEPPER": secrets.token_hex(),
                "AI_GATEWAY_SIMULATOR": "on",
            },
        )


def open_streams(caller: Caller) -> list[Stream]:
    """Streams that have begun, on all workers of its gateway."""
    with ThreadPoolExecutor(STREAMS) as pool:
        streams = list(pool.map(open_stream, [caller] * STREAMS))
    for stream in streams:
        stream.read_until(b"data: ")
    return streams


def open_stream(caller: Caller) -> Stream:
    """Tried again, as the SDKs do, where Redis of a busy machine answers too late."""
    while (stream := caller.stream("openai", PROMPT)).status == 503:
        stream.leave()
        time.sleep(1)
    return stream


def read_all(streams: Sequence[Stream]) -> int:
    """Read to the ends; how many were whole."""
    with ThreadPoolExecutor(len(streams)) as pool:
        received = list(pool.map(Stream.read_all, streams))
    return sum(LAST_EVENT in text for text in received)


@contextmanager
def calling(caller: Caller) -> Iterator[Counter[int]]:
    """Short calls, one after the other, for as long as the block lasts; 0 is a broken one."""
    answers: Counter[int] = Counter()
    stop = threading.Event()

    def call() -> None:
        while not stop.wait(0.02):
            try:
                answers[caller.ask("openai", "[[tokens=1]]").status] += 1
            except OSError:
                answers[0] += 1

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def judged(gateway: RunningGateway, whole: int, answers: Counter[int], exit_code: int) -> Switch:
    sent = STREAMS + answers[200]

    def booked() -> int:
        rows = gateway.rows("SELECT COUNT(DISTINCT request_id) AS calls FROM ledger_entry")
        return int(rows[0]["calls"])

    with suppress(AssertionError):
        wait_for(lambda: booked() >= sent, f"{sent} calls are booked")
    verdict = gateway.flask("ledger", "verify")
    return Switch(whole, answers, booked(), sent, exit_code, verdict)
