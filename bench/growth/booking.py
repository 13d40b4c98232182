"""How many rows a second a bookkeeper moves from the outbox into the ledger."""

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import redis

from ai_gateway.domain.call import AdmittedCall
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.stores import redis_keys
from ai_gateway.stores.call_texts import call_facts
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.web.context import EXTENSION, Services
from bench.errors import BenchError
from bench.scale.checking import ZONE
from bench.scale.databases import CpuClock
from bench.scale.population import FIRST_USER, MODELS, NOW
from bench.scale.site import Site
from tests.money import MoneyStore, admitted_call, finished_call, key_record

ENTRIES = 20_000
WARM_UP = 1_000
LAST_HOUR = timedelta(hours=1)
NANO = 1e9


@dataclass(frozen=True, slots=True)
class Booking:
    """What it took to book so many entries; `cpu_seconds` are those of bookkeeper and database."""

    entries: int
    seconds: float
    cpu_seconds: float

    @property
    def rows_per_second(self) -> float:
        return self.entries / self.seconds

    @property
    def rows_per_cpu_second(self) -> float:
        return self.entries / self.cpu_seconds


def measure(site: Site) -> Booking:
    """Calls of the last hour by all users, booked in one go; they stay in the ledger."""
    with connect(site.environment["REDIS_URL"], timeout_seconds=60) as client:
        bookkeeper = _bookkeeper(site, client)
        # A Redis that knows less than its ledger is distrusted.
        client.hset(redis_keys.META, "seq", Ledger(site.engine, ZONE).last_seq())
        _fill_outbox(client, site, WARM_UP)
        bookkeeper.book_all()
        _fill_outbox(client, site, ENTRIES)
        cpu = CpuClock(site.engine)
        began, spent = time.perf_counter(), cpu.nanoseconds()
        bookkeeper.book_all()
        took, spent = time.perf_counter() - began, cpu.nanoseconds() - spent
        if client.xlen(redis_keys.OUTBOX):
            raise BenchError("the bookkeeper left something in the outbox")
        return Booking(ENTRIES, took, spent / NANO)


def _bookkeeper(site: Site, client: "redis.Redis") -> Bookkeeper:
    services: Services = site.client.application.extensions[EXTENSION]
    stores = BookkeeperStores(Outbox(client), PublishedState(client), Ledger(site.engine, ZONE))
    return Bookkeeper(stores, services.key_admin, clock=lambda: NOW, zone=ZONE)


def _fill_outbox(client: "redis.Redis", site: Site, count: int) -> None:
    store, pipeline = MoneyStore(client), client.pipeline(transaction=False)
    row = _settled_row(store)
    first = int(client.hincrby(redis_keys.META, "seq", count)) - count + 1
    for seq, call in enumerate(_calls(site, count, first), first):
        fields: Any = {**row, "seq": seq, "request_id": call.request_id, "facts": _facts(call)}
        pipeline.xadd(redis_keys.OUTBOX, fields)
    pipeline.execute()


def _settled_row(store: MoneyStore) -> Mapping[str, str]:
    """An entry as the scripts write it, which is taken away again."""
    record = key_record()
    store.copies.publish([record])
    call = admitted_call(f"req_sample_{uuid4().hex}", record=record, admitted_at=NOW)
    store.reserve(call)
    store.meter.settle(call, finished_call(1_000))
    *_, (stream_id, row) = store.stream().items()
    store.client.xdel(redis_keys.OUTBOX, stream_id)
    return row


def _calls(site: Site, count: int, first: int) -> Iterator[AdmittedCall]:
    chance = random.Random(first)  # noqa: S311  # the same calls every time, not secret ones
    for number in range(first, first + count):
        user = chance.randrange(FIRST_USER, FIRST_USER + site.people.users)
        provider, model, *_ = chance.choice(MODELS)
        yield admitted_call(
            f"req_grown_{number}",
            record=key_record(f"{user:08x}", subject_id=user, user_id=user),
            admitted_at=NOW - LAST_HOUR * chance.random(),
            provider=provider,
            model=model,
        )


def _facts(call: AdmittedCall) -> str:
    return orjson.dumps(call_facts(call)).decode()
