"""Two gateway hosts before one Redis and one PostgreSQL: what each has to itself, and what not.

A host has a name, a port, a data folder, metrics, workers and a bookkeeper of its own. Providers
are one simulator, as they would be for real hosts.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal

import psycopg
import redis
from psycopg.rows import dict_row

from ai_gateway.stores.redis_client import connect
from simulator.testing import RunningSimulator, running_simulator
from tests.e2e.processes import children
from tests.postgresql import running_postgresql
from tests.redis_cluster import SOON, Cluster, running_cluster
from tests.redis_servers import Kind, RedisServer, running_redis
from tests.running import WAIT_SECONDS, RunningGateway, wait_for

StoreKind = Literal["valkey", "redis", "cluster"]
Store = RedisServer | Cluster


class Host(RunningGateway):
    """One machine, as far as one machine can play it."""

    def __init__(self, folder: Path, variables: Mapping[str, str], site: "Site") -> None:
        folder.mkdir()
        super().__init__(folder, variables)
        self._site = site
        self.serves = False
        """What the check of a load balancer would say."""

    def start(self) -> None:
        super().start()
        self.serves = True

    @property
    def simulator(self) -> RunningSimulator:
        return self._site.simulator

    def store(self) -> "redis.Redis":
        return self._site.client()

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        return self._site.rows(query, *values)

    def kill(self) -> None:
        """`kill -9` for everything on it, as if it had lost its power."""
        assert self._process is not None
        self._end_commands()
        for number in (self._process.pid, *_descendants(self._process.pid)):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._process.wait(WAIT_SECONDS)
        self.serves = False


class Site:
    """The stores that all hosts share, and the hosts."""

    def __init__(
        self, folder: Path, store: Store, database_url: str, simulator: RunningSimulator
    ) -> None:
        self.store = store
        self.simulator = simulator
        self._database = database_url.replace("+psycopg", "")
        shared = {
            "DATABASE_URL": self._database,
            "REDIS_URL": store.url,
            "SECRET_KEY": token_hex(32),
            "AI_GATEWAY_KEY_PEPPER": token_hex(32),
            "AI_GATEWAY_SIMULATOR": "on",
            "AI_GATEWAY_SIMULATOR_URL": simulator.url,
        }
        self.hosts = [Host(folder / name, shared, self) for name in ("one", "two")]

    def client(self) -> "redis.Redis":
        return connect(self.store.url, timeout_seconds=5)

    def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        with psycopg.connect(self._database, autocommit=True, row_factory=dict_row) as connection:
            return list(connection.execute(query.replace("?", "%s").encode(), values))

    def hurt_store(self) -> str:
        """A plain server dies and starts again; of a cluster the primary dies for a while.

        Returns what was done.
        """
        if isinstance(self.store, RedisServer):
            self.store.kill()
            self.store.start()
            return "Redis killed with -9, and started again"
        victim = self.store.primary()
        victim.kill()
        heir = self.store.wait_for_another(victim)
        victim.start()
        wait_for(victim.is_in_step, "the old primary follows the new one")
        return f"primary {victim.address} killed with -9, {heir.address} took over"

    def verify(self) -> str:
        """What `flask ledger verify` says; raises where counters and ledger differ."""
        return next(host for host in self.hosts if host.serves).flask("ledger", "verify")


@contextmanager
def running_site(kind: StoreKind) -> Iterator[Site]:
    """Start all of it; a short path keeps sockets in their folders."""
    folder = Path(tempfile.mkdtemp(prefix="agwh"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        database_url = stack.enter_context(running_postgresql())
        store = stack.enter_context(_running_store(kind))
        simulator = stack.enter_context(running_simulator())
        site = Site(folder, store, database_url, simulator)
        for host in site.hosts:
            stack.callback(host.end)
            # One after the other: the first makes the tables.
            host.start()
        yield site


@contextmanager
def _running_store(kind: StoreKind) -> Iterator[Store]:
    if kind == "cluster":
        with running_cluster(primaries=3, replicas=1, options=SOON) as cluster:
            yield cluster
        return
    plain: Kind = kind
    with running_redis(plain) as server:
        yield server


def _descendants(process_id: int) -> Iterator[int]:
    for number in children(process_id):
        yield number
        yield from _descendants(number)
