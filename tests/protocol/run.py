"""One run: starts every part as a process of its own and does what the plan says."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic, sleep

import redis
from sqlalchemy import Engine

from ai_gateway.stores import embedded, redis_keys
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.sql import BOOKKEEPER_BUSY_MS
from ai_gateway.stores.tables import Base
from tests.money import UTC_ZONE
from tests.protocol.checker import Evidence, Verdict, judge
from tests.protocol.crew import END_SECONDS, Crew, shared_number, start_line
from tests.protocol.evidence import gather
from tests.protocol.history import has_word
from tests.protocol.plan import Fault, Plan
from tests.protocol.site import Site, connected, make_engine
from tests.protocol.staff import Staff
from tests.redis_servers import Kind, RedisServer
from tests.running import wait_for

TURN_SECONDS = 0.02
DRAIN_SECONDS = 30.0
LONGEST_OUTAGE_SECONDS = 0.3


class Run:
    """The installation of one plan, in a folder of its own."""

    def __init__(self, site: Site, server: RedisServer, engine: Engine) -> None:
        self._site = site
        self._server = server
        self._engine = engine
        self._random = Random(f"{site.plan.seed}:run")
        self._line = start_line(site, embedded.socket_path(server.data_dir))
        wait_for(site.line.exists, "the line is there")

    def evidence(self) -> Evidence:
        """Run, drain, and gather what is left."""
        try:
            with connected(self._site) as client:
                staff = Staff(client, self._engine, self._site, self._random)
                site = replace(self._site, credentials=staff.open_the_shop())
                crew = Crew(site, self._random)
                try:
                    self._follow_plan(staff, crew, site)
                    return self._drained(staff, crew, site)
                finally:
                    crew.end()
        finally:
            self._line.kill()
            self._line.join(END_SECONDS)

    def _follow_plan(self, staff: Staff, crew: Crew, site: Site) -> None:
        wait_for(lambda: _has_begun(crew, site), "the first call is admitted")
        started = monotonic()
        site.end.value = started + site.plan.seconds
        events = list(site.plan.events)
        while monotonic() < site.ends_at:
            crew.look_after()
            staff.settle_debts()
            while events and events[0].at < monotonic() - started:
                self._do(events.pop(0).fault, staff, crew)
            sleep(TURN_SECONDS)

    def _do(self, fault: Fault, staff: Staff, crew: Crew) -> None:
        match fault:
            case Fault.KILL_REDIS:
                self._server.kill()
                sleep(self._random.uniform(0, LONGEST_OUTAGE_SECONDS))
                self._server.start()
            case Fault.FLUSH_SCRIPTS:
                with connect(self._server.url) as client:
                    client.script_flush()
            case Fault.KILL_WORKER:
                crew.kill_worker()
            case Fault.FREEZE_WORKER:
                crew.freeze_worker()
            case Fault.KILL_BOOKKEEPER:
                crew.kill_bookkeeper()
            case _:
                staff.act(fault)

    def _drained(self, staff: Staff, crew: Crew, site: Site) -> Evidence:
        """No more faults: everybody ends what was begun, and the outbox runs empty."""
        assert self._line.pid is not None
        os.kill(self._line.pid, signal.SIGUSR1)
        with connect(self._server.url) as client:

            def is_drained() -> bool:
                crew.look_after()
                return staff.settle_debts() and not crew.workers and _is_quiet(client, self._engine)

            give_up_at = monotonic() + DRAIN_SECONDS
            while not (is_in_time := is_drained()) and monotonic() < give_up_at:
                sleep(TURN_SECONDS)
            crew.stop_bookkeepers()
            evidence = gather(site, self._server, client, self._engine, crew.killed)
        late = () if is_in_time else (f"not drained within {DRAIN_SECONDS} s",)
        return replace(evidence, problems=(*late, *crew.ended_badly, *_logged(site.log)))


def _has_begun(crew: Crew, site: Site) -> bool:
    crew.look_after()
    return has_word(site.history, "granted")


def _is_quiet(client: "redis.Redis", engine: Engine) -> bool:
    """Whether nothing is held and nothing waits for the ledger."""
    position = Ledger(engine, UTC_ZONE).position()
    waiting = client.xrange(redis_keys.OUTBOX, min=f"({position}", count=1)
    return not waiting and not client.zcard(redis_keys.LEASES)


def _logged(log: Path) -> list[str]:
    """Errors that a part of ours met and went on from."""
    text = log.read_text() if log.exists() else ""
    return [f"an error was logged: {text[-2000:]}"] if "Traceback" in text else []


def evidence_of(plan: Plan, kind: Kind = "valkey", database_url: str | None = None) -> Evidence:
    """Do one run; `database_url` may name a database whose tables of ours are made anew."""
    # A socket's path has to be short.
    folder = Path(tempfile.mkdtemp(prefix="agw"))
    (folder / "history").mkdir()
    url = database_url or f"sqlite:///{folder / 'ledger.sqlite3'}"
    site = Site(folder, plan, url, credentials=(), end=shared_number(float("inf")))
    server = RedisServer(kind, folder / "redis")
    try:
        server.start()
        with _tables(url) as engine:
            return Run(site, server, engine).evidence()
    finally:
        server.stop()
        shutil.rmtree(folder)


def run_plan(plan: Plan, kind: Kind = "valkey", database_url: str | None = None) -> Verdict:
    """Do one run and judge it."""
    return judge(evidence_of(plan, kind, database_url))


@contextmanager
def _tables(url: str) -> Iterator[Engine]:
    engine = make_engine(url, busy_ms=BOOKKEEPER_BUSY_MS)
    try:
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        yield engine
    finally:
        engine.dispose()
