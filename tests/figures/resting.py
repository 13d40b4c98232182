"""What is true of a rig once nothing runs: each call judged, counters and ledger compared."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from ai_gateway.domain.clock import system_clock
from ai_gateway.services.verification import Verification
from ai_gateway.stores import embedded
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.sql import BOOKKEEPER_BUSY_MS
from tests.faults.checker import BOOKED_AGAIN_SECONDS, come_to_rest
from tests.faults.client import Client
from tests.faults.databases import PostgreSQL
from tests.faults.rig import Gateway, Rig
from tests.figures.judging import Row, Verdict, gaps, judge, total
from tests.figures.record import Record
from tests.money import UTC_ZONE
from tests.protocol.site import make_engine

COLUMNS = "request_id, entry_no, requests, cost_nano_usd, confidence, outcome"


def fresh_clients(rig: Rig, count: int = 8) -> list[Client]:
    """Users whom no limit of their own stops."""
    return [rig.client(daily="1000") for _ in range(count)]


def booked_rows(gateway: Gateway, key_id: str) -> list[Row]:
    """What the ledger has of a key, with no more columns than a judge needs."""
    query = f"SELECT {COLUMNS} FROM ledger_entry WHERE key_id = ? ORDER BY id"  # noqa: S608 - our own words
    return gateway.rows(query, key_id)


def verdict_at_rest(rig: Rig, record: Record, clients: Sequence[Client]) -> Verdict:
    """Wait until nothing is held, and judge; what Redis forgot is booked again within seconds."""
    come_to_rest(rig, clients)
    give_up_at = time.monotonic() + BOOKED_AGAIN_SECONDS
    while not (verdict := _verdict(rig, record, clients)).is_right:
        if time.monotonic() > give_up_at:
            break
        time.sleep(0.5)
    for client in clients:
        record.rows(booked_rows(rig.gateway, client.caller.key_id))
    return verdict


def _verdict(rig: Rig, record: Record, clients: Sequence[Client]) -> Verdict:
    served = _served(rig, clients)
    told = list(record.of(record.scenario))
    verdicts = [
        judge(
            [one for one in told if one.key_id == client.caller.key_id],
            booked_rows(rig.gateway, client.caller.key_id),
            served[client.caller.key_id],
        )
        for client in clients
    ]
    found = total(verdicts)
    with opened_proof(rig) as proof:
        wrong = [f"{one.account.name} differs" for one in proof.differences()]
    return replace(found, complaints=(*found.complaints, *wrong))


def _served(rig: Rig, clients: Sequence[Client]) -> Counter[str]:
    """How many calls of each key the provider saw; it forgets all but the last 10,000."""
    tags = {client.caller.tag: client.caller.key_id for client in clients}
    bodies = [str(call["request_body"]) for call in rig.gateway.simulator.calls()]
    return Counter(key_id for tag, key_id in tags.items() for body in bodies if tag in body)


@contextmanager
def opened_proof(rig: Rig) -> Iterator[Verification]:
    """What `flask ledger verify` compares, with the amounts."""
    url = f"sqlite:///{embedded.database_path(rig.gateway.data_dir)}"
    if isinstance(rig.sql, PostgreSQL):
        url = rig.sql.variables["DATABASE_URL"]
    engine = make_engine(url, busy_ms=BOOKKEEPER_BUSY_MS)
    try:
        with connect(rig.redis.url) as client:
            ledger, outbox = Ledger(engine, UTC_ZONE), Outbox(client)
            yield Verification(ledger, outbox, clock=system_clock, zone=UTC_ZONE)
    finally:
        engine.dispose()


def worst_difference(proof: Verification) -> int:
    """The largest difference of any account, in nano-USD."""
    return max((abs(one.counter - one.booked) for one in proof.differences()), default=0)


def sequence_gaps(rig: Rig) -> int:
    """What is missing from the ledger between its first and its last entry."""
    return gaps(row["seq"] for row in rig.gateway.rows("SELECT seq FROM ledger_entry"))
