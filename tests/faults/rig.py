"""The rig: two gateway workers, bookkeeper, simulator, a Redis and a database of its own.

Scenarios hurt it from the outside: by signals, by the lines of `line.py`, by what an operator may
do to a store. No code of the gateway is touched.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha1
from pathlib import Path
from random import Random
from secrets import token_hex
from typing import Any, Literal

import redis

from ai_gateway.stores import redis_keys
from ai_gateway.stores.redis_client import connect
from tests.e2e import processes
from tests.e2e.caller import Caller, metric
from tests.faults.client import Client
from tests.faults.clock import Clocks, TurnedClock
from tests.faults.databases import PostgreSQL, Sqlite, SqlKind
from tests.faults.history import History
from tests.faults.line import Faults, opened_line
from tests.postgresql import running_postgresql
from tests.protocol.lossy_line import SCRIPTS
from tests.redis_cluster import SOON, Cluster, running_cluster
from tests.redis_servers import Kind, RedisServer
from tests.running import RunningGateway, wait_for

RISE_SECONDS = 20.0
SECRETS = {"SECRET_KEY": token_hex(32), "AI_GATEWAY_KEY_PEPPER": token_hex(32)}
"""Whoever brings a store has to bring these."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a rig is made of; `turns_clocks` where a scenario turns them."""

    store: Kind | Literal["cluster"] = "valkey"
    sql: SqlKind = "sqlite"
    seed: int = 0
    turns_clocks: bool = False


class Gateway(RunningGateway):
    """A gateway whose Redis, and perhaps whose database, are not its own."""

    def __init__(
        self, folder: Path, variables: dict[str, str], redis_url: str, sql: PostgreSQL | None
    ) -> None:
        super().__init__(folder, variables)
        self._redis_url = redis_url
        self._postgresql = sql
        self.clock: TurnedClock | None = None

    def now(self) -> datetime:
        return super().now() if self.clock is None else self.clock.now()

    def store(self) -> "redis.Redis":
        """Past any line."""
        if self._redis_url.startswith("unix://"):
            return redis.Redis.from_url(self._redis_url, decode_responses=True)
        return connect(self._redis_url, timeout_seconds=5)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        if self._postgresql is not None:
            return self._postgresql.rows(query, values)
        return super().rows(query, *values)


class Rig:
    """Everything a scenario may use; make it with `started_rig`."""

    def __init__(
        self,
        folder: Path,
        server: RedisServer | Cluster,
        sql: Sqlite | PostgreSQL,
        *,
        choice: Choice,
        history: History,
        clocks: Clocks | None,
    ) -> None:
        self.choice = choice
        self.random = Random(choice.seed)
        self.history = history
        self._store = server
        self.sql = sql
        self._folder = folder
        self._name = folder / "redis"
        redis_url = server.url
        if isinstance(server, RedisServer):
            self._name.symlink_to(self.redis_socket)
            redis_url = f"unix://{self._name}"
        variables = {**sql.variables, "REDIS_URL": redis_url, **SECRETS}
        postgresql = sql if isinstance(sql, PostgreSQL) else None
        self._clocks = clocks
        if clocks is not None:
            variables |= clocks.gateway.variables
        self.gateway = Gateway(folder, variables, server.url, postgresql)
        self.gateway.clock = clocks.gateway if clocks else None

    @property
    def clocks(self) -> Clocks:
        assert self._clocks is not None, "the scenario has to say that it turns clocks"
        return self._clocks

    @property
    def redis(self) -> RedisServer:
        assert isinstance(self._store, RedisServer)
        return self._store

    @property
    def cluster(self) -> Cluster:
        assert isinstance(self._store, Cluster)
        return self._store

    def client(self, *key_options: str, daily: str | None = None) -> Client:
        """A fresh user with a key; the limit is in USD."""
        key = self.gateway.make_key(*key_options, daily=daily)
        return Client(Caller(self.gateway, key), self.history)

    def user_of(self, client: Client) -> str:
        query = 'SELECT username FROM "user" WHERE id = ?'
        return str(self.gateway.rows(query, client.caller.user_id)[0]["username"])

    def metric(self, name: str, **labels: str) -> float:
        return metric(self.gateway, f"ai_gateway_{name}", **labels)

    def wait_for_metric(self, name: str, least: float, **labels: str) -> None:
        """What the bookkeeper tells is some seconds old."""
        wait_for(lambda: self.metric(name, **labels) >= least, f"{name} is {least}")

    def wait_for_rise(self, name: str, before: float, **labels: str) -> None:
        wait_for(
            lambda: self.metric(name, **labels) > before, f"{name} {labels} rises", RISE_SECONDS
        )

    @property
    def bookkeeper(self) -> int:
        return processes.child(self.gateway, "bookkeeper")

    @property
    def workers(self) -> list[int]:
        return processes.workers(self.gateway)

    def kill_workers(self) -> None:
        """`kill -9` for all of them; returns when there are new ones."""
        victims = self.workers
        for victim in victims:
            processes.kill(victim)
        self.wait_for_workers(victims)

    def wait_for_workers(self, victims: list[int]) -> None:
        wait_for(
            lambda: len(self.workers) == len(victims) and not set(self.workers) & set(victims),
            "there are new workers",
        )

    def kill_bookkeeper(self) -> None:
        victim = self.bookkeeper
        processes.kill(victim)
        wait_for(lambda: self._bookkeepers() not in ([], [victim]), "there is a new bookkeeper")

    def _bookkeepers(self) -> list[int]:
        process = self.gateway._process
        assert process is not None
        children = processes.children(process.pid)
        return [number for number, command in children.items() if "bookkeeper" in command]

    def wait_for_outbox(self, least: int) -> None:
        """Wait until so many entries are on their way to the ledger."""
        with self.gateway.store() as store:
            wait_for(lambda: store.xlen(redis_keys.OUTBOX) >= least, f"{least} entries wait")

    @contextmanager
    def redis_by_line(self, faults: Faults) -> Iterator[None]:
        """All connections of the gateway begin anew, over a line; in the end without it."""
        path = self._folder / "line"
        with opened_line(path, self.redis_socket, faults):
            self.lead_redis_to(path)
            try:
                yield
            finally:
                self.lead_redis_to(self.redis_socket)

    def lead_redis_to(self, path: Path) -> None:
        new = self._folder / "new"
        new.symlink_to(path)
        new.replace(self._name)
        with self.gateway.store() as store:
            store.client_kill_filter(_type="normal", skipme=True)

    @property
    def redis_socket(self) -> Path:
        return Path(self.redis.url.removeprefix("unix://"))

    @property
    def folder(self) -> Path:
        return self._folder

    def let_leases_end(self, *request_ids: str) -> None:
        """A lease lasts 45 s; here its end is moved into the past."""
        with self.gateway.store() as store:
            assert store.zadd(redis_keys.LEASES, dict.fromkeys(request_ids, 1), xx=True, ch=True)

    def leases(self) -> list[str]:
        with self.gateway.store() as store:
            return [str(name) for name in store.zrange(redis_keys.LEASES, 0, -1)]

    def is_closed(self, request_id: str) -> bool:
        """Whether a call is settled in Redis."""
        with self.gateway.store() as store:
            return bool(store.hget(redis_keys.call(request_id), "open") == "0")


def script_name(name: str) -> bytes:
    """How a script is called on the wire."""
    text = (SCRIPTS / f"{name}.lua").read_bytes()
    return sha1(text).hexdigest().encode()  # noqa: S324 - the server's own name for a script


@contextmanager
def started_rig(choice: Choice, history: History) -> Iterator[Rig]:
    """A rig with its processes running; a short path keeps its sockets in its folder."""
    folder = Path(tempfile.mkdtemp(prefix="frig"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        clocks = Clocks.made(folder) if choice.turns_clocks else None
        server = _started_store(choice, folder, stack, clocks)
        sql: Sqlite | PostgreSQL = Sqlite(folder / "data")
        if choice.sql == "postgresql":
            sql = PostgreSQL(stack.enter_context(running_postgresql()))
            stack.callback(sql.remove)
        rig = Rig(folder, server, sql, choice=choice, history=history, clocks=clocks)
        stack.callback(rig.gateway.end)
        rig.gateway.start()
        yield rig


def _started_store(
    choice: Choice, folder: Path, stack: ExitStack, clocks: Clocks | None
) -> RedisServer | Cluster:
    if choice.store == "cluster":
        return stack.enter_context(running_cluster(primaries=3, replicas=1, options=SOON))
    server = RedisServer(choice.store, folder / "store", clocks.redis.variables if clocks else {})
    server.start()
    stack.callback(server.stop)
    return server
