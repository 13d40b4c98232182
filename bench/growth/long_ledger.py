"""Pages, proofs and bookings before a ledger of ten million rows: ten months of a million each."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, func, select, text

from ai_gateway.stores.embedded import database_path
from ai_gateway.stores.tables import LedgerEntry, VirtualKey
from ai_gateway.web.context import EXTENSION, Services
from bench.errors import BenchError
from bench.growth import booking
from bench.growth.booking import Booking
from bench.scale.addresses import addresses
from bench.scale.databases import CpuClock
from bench.scale.measuring import Measured, Stopwatch
from bench.scale.seeding import Shown
from bench.scale.site import Site

MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Timed:
    """Something that was done once; `cpu_ms` is of the process and of its database."""

    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class LongLedger:
    """What was measured on one kind of database, with `rows` in the ledger."""

    database: str
    rows: int
    disk_bytes: int
    pages: tuple[Measured, ...]
    verify: Timed
    publish: Timed
    keys: int
    booking: Booking


def measure(kind: str, site: Site, shown: Shown) -> LongLedger:
    """The pages come first, since what is booked later changes the ledger."""
    rows, keys = _count(site.engine, LedgerEntry.id), _count(site.engine, VirtualKey.id)
    disk = _disk(site)
    verify = _verified(site)
    watch = Stopwatch(site.client, site.engine)
    asked = addresses(site.client, site.people)
    pages = tuple(watch.measure(one) for one in shown(asked, "pages"))
    return LongLedger(
        kind, rows, disk, pages, verify, _published(site), keys, booking.measure(site)
    )


def slow(pages: Sequence[Measured], most_ms: float) -> Iterator[Measured]:
    """The pages with a statement that takes longer."""
    return (page for page in pages if page.slowest_ms > most_ms)


def _verified(site: Site) -> Timed:
    """`flask ledger verify`, after a first time that fills caches."""
    runner = site.client.application.test_cli_runner()
    for _ in range(2):
        with _timed(site.engine) as timed:
            done = runner.invoke(args=["ledger", "verify"])
        if done.exit_code != 0:
            raise BenchError(f"flask ledger verify: {done.output[-300:]}")
    return timed[0]


def _published(site: Site) -> Timed:
    """Every key from SQL to Redis, as the bookkeeper does it each 30 s."""
    services: Services = site.client.application.extensions[EXTENSION]
    with site.client.application.app_context(), _timed(site.engine) as timed:
        services.key_admin.publish_all()
    return timed[0]


@contextmanager
def _timed(engine: Engine) -> Iterator[list[Timed]]:
    found: list[Timed] = []
    cpu = CpuClock(engine)
    began, spent = time.perf_counter_ns(), cpu.nanoseconds()
    yield found
    wall, spent = time.perf_counter_ns() - began, cpu.nanoseconds() - spent
    found.append(Timed(wall / MILLION, spent / MILLION))


def _count(engine: Engine, column: object) -> int:
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET statement_timeout = 0")
        counted = connection.scalar(select(func.count(column)))  # type: ignore[arg-type]
        connection.invalidate()
    return int(counted or 0)


def _disk(site: Site) -> int:
    """What the whole database takes, indexes and sums with it."""
    if site.engine.dialect.name == "sqlite":
        folder = Path(site.environment["AI_GATEWAY_DATA_DIR"])
        return database_path(folder).stat().st_size
    with site.engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
