"""Puts back what Redis lost: records of calls that a worker still knows, by what the ledger says.

Off the path of calls: it reads SQL, and is used only after Redis was emptied or went back in time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import orjson
import redis
from sqlalchemy import Engine, func, select

from ai_gateway.domain.call import TALLY_FIELDS, AdmittedCall, Tally
from ai_gateway.domain.money import Money
from ai_gateway.stores import redis_keys
from ai_gateway.stores.call_texts import call_facts, tally_text
from ai_gateway.stores.meter import LEASE_MS, OPEN_RECORD_SECONDS, Floor
from ai_gateway.stores.redis_client import translated_errors
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import LedgerEntry

RECORDS_AT_ONCE = 500

_SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger has of one call: the sum of its entries, and how many there are."""

    cost: Money
    entries: int
    tally: Tally


class Adopted(StrEnum):
    """What became of a record that was to be made anew."""

    OK = "OK"
    CLOSED = "DUP"
    COLD = "COLD"


@dataclass(frozen=True, slots=True)
class Life:
    """Whose word counts: the epoch of the counters, and the process that serves them.

    Without an epoch they are not to be trusted.
    """

    epoch: str | None
    server: str


class LostRecords:
    """The ledger's memory of single calls, and the way back into Redis."""

    def __init__(self, client: redis.Redis, engine: Engine) -> None:
        self._client = client
        self._engine = engine
        self._adopt = client.register_script((_SCRIPTS / "adopt.lua").read_text())
        self._forget = client.register_script((_SCRIPTS / "forget_epoch.lua").read_text())

    def booked(self, request_id: str) -> Booked:
        """The sums of a call's entries; raises `GatewayUnavailable` while SQL is away."""
        tallies = [func.coalesce(func.sum(getattr(LedgerEntry, name)), 0) for name in TALLY_FIELDS]
        query = select(
            func.coalesce(func.sum(LedgerEntry.cost_nano_usd), 0),
            func.coalesce(func.max(LedgerEntry.entry_no), 0),
            *tallies,
        ).where(LedgerEntry.request_id == request_id, LedgerEntry.kind == "call")
        with transaction(self._engine) as session:
            cost, entries, *counts = session.execute(query).one()
        return Booked(Money(int(cost)), int(entries), Tally(*map(int, counts)))

    def adopt(
        self,
        call: AdmittedCall,
        booked: Booked,
        *,
        hold: Money,
        floor: Floor,
        forget_at: Sequence[datetime],
    ) -> Adopted:
        """Make the record of a call say what the ledger says of it."""
        keys = [
            redis_keys.META,
            redis_keys.call(call.request_id),
            redis_keys.LEASES,
            *map(redis_keys.account, call.accounts),
        ]
        arguments: list[str | int] = [
            call.request_id,
            hold,
            LEASE_MS,
            OPEN_RECORD_SECONDS,
            booked.cost,
            booked.entries,
            tally_text(booked.tally) if booked.entries else "",
            orjson.dumps(call_facts(call)).decode(),
            floor.cost,
            tally_text(floor.tally),
            redis_keys.key_record(call.key_id),
        ]
        arguments += [int(moment.timestamp()) for moment in forget_at]
        with translated_errors():
            return Adopted(self._adopt(keys, arguments))

    def life(self) -> Life:
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            pipeline.hget(redis_keys.META, "epoch")
            pipeline.info("server")
            epoch, server = pipeline.execute()
        return Life(epoch, str(server["run_id"]))

    def lacks_any(self, request_ids: Sequence[str]) -> bool:
        """Whether one of these settled calls is not settled in Redis.

        They are kept there for longer than a worker remembers them.
        """
        for start in range(0, len(request_ids), RECORDS_AT_ONCE):
            with translated_errors():
                pipeline = self._client.pipeline(transaction=False)
                for request_id in request_ids[start : start + RECORDS_AT_ONCE]:
                    pipeline.hget(redis_keys.call(request_id), "open")
                if any(state != "0" for state in pipeline.execute()):
                    return True
        return False

    def forget_epoch(self, epoch: str) -> None:
        """Stop new calls until the bookkeeper has restored the counters, and count it."""
        with translated_errors():
            self._forget([redis_keys.META, redis_keys.FIGURE_COUNTS], [epoch])
