"""Gathers what a run left behind."""

import redis
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.services.verification import Verification
from ai_gateway.stores import redis_keys
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox
from ai_gateway.stores.outbox_tables import SetAsideEntry
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import AccountTotal, LedgerEntry
from tests.money import UTC_ZONE, MoneyStore
from tests.protocol.aof import steps_of
from tests.protocol.checker import Evidence, LedgerRow
from tests.protocol.history import read_all
from tests.protocol.replay import Row
from tests.protocol.site import Site, clock
from tests.redis_servers import RedisServer


def gather(
    site: Site, server: RedisServer, client: "redis.Redis", engine: Engine, killed: set[str]
) -> Evidence:
    """Everything, after all was drained; stops the server."""
    ledger = Ledger(engine, UTC_ZONE)
    proof = Verification(ledger, Outbox(client), clock=clock, zone=UTC_ZONE)
    differences = tuple(map(str, proof.differences()))
    hashes = _hashes(client)
    leases = frozenset(map(str, client.zrange(redis_keys.LEASES, 0, -1)))
    server.stop()
    with Session(engine) as session:
        return Evidence(
            steps=tuple(steps_of(server.data_dir)),
            hashes=hashes,
            leases=leases,
            rows=tuple(map(_ledger_row, session.scalars(select(LedgerEntry)))),
            set_aside=session.scalar(select(func.count()).select_from(SetAsideEntry)) or 0,
            account_totals={
                f"{row.scope}:{row.subject_id}:{row.window_id}": row.spent_nano_usd
                for row in session.scalars(select(AccountTotal))
            },
            rolled_up=_rolled_up(session),
            told=tuple(read_all(site.history)),
            killed=frozenset(killed),
            differences=differences,
        )


def _hashes(client: "redis.Redis") -> dict[str, Row]:
    names = [name for name in MoneyStore(client).names("") if client.type(name) == "hash"]
    return {
        name: {str(field): str(value) for field, value in client.hgetall(name).items()}
        for name in names
    }


def _ledger_row(entry: LedgerEntry) -> LedgerRow:
    return LedgerRow(
        request_id=entry.request_id,
        entry_no=entry.entry_no,
        kind=entry.kind,
        seq=entry.seq,
        cost=entry.cost_nano_usd,
        total=entry.total_after_nano_usd,
        confidence=entry.confidence,
        tally=tuple(getattr(entry, name) for name in TALLY_FIELDS),
    )


def _rolled_up(session: Session) -> tuple[int, int]:
    requests, cost = session.execute(
        select(
            func.coalesce(func.sum(UsageHour.requests), 0),
            func.coalesce(func.sum(UsageHour.cost_nano_usd), 0),
        )
    ).one()
    return int(requests), int(cost)
