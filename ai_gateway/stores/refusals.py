"""Refused requests on their way from the workers to SQL: a capped stream, then two tables.

The position is moved in the transaction that writes the rows, so that each is there once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import redis
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.refusals import RefusedCall
from ai_gateway.errors import NeededHold, Refusal
from ai_gateway.stores import redis_keys
from ai_gateway.stores.outbox import FIRST_POSITION
from ai_gateway.stores.redis_client import translated_errors
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalPosition, RefusalRow
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.sql import insert_into, table_of, transaction

MOST_IN_STREAM = 10_000

Entry = tuple[str, RefusedCall]
"""The id in the stream, and the refusal."""


class RefusalStream:
    """The way from the workers to the bookkeeper; what does not fit falls out at the old end."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def write(self, calls: Sequence[RefusedCall]) -> None:
        """One round trip; raises `BudgetUnavailable`."""
        with translated_errors():
            pipeline = self._client.pipeline(transaction=False)
            for call in calls:
                pipeline.xadd(
                    redis_keys.REFUSALS,
                    {"call": orjson.dumps(asdict(call))},
                    maxlen=MOST_IN_STREAM,
                    approximate=True,
                )
            pipeline.execute()

    def read(self, position: str, count: int) -> list[Entry]:
        """The entries after a position, oldest first."""
        with translated_errors():
            found: Any = self._client.xrange(redis_keys.REFUSALS, min=f"({position}", count=count)
        return [(stream_id, _read_call(row["call"])) for stream_id, row in found]

    def trim(self, position: str) -> None:
        with translated_errors():
            self._client.xtrim(redis_keys.REFUSALS, minid=position, approximate=False)


class RefusalTable:
    """Writes refusals to SQL; opens its own short sessions."""

    def __init__(self, engine: Engine, zone: ZoneInfo) -> None:
        self._engine = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._zone = zone

    def position(self) -> str:
        with transaction(self._engine) as session:
            row = session.get(RefusalPosition, 1)
            if row is not None:
                return row.stream_id
            first = insert_into(self._engine, RefusalPosition).values(
                id=1, stream_id=FIRST_POSITION
            )
            # Two bookkeepers may come here at once.
            session.execute(first.on_conflict_do_nothing())
            return FIRST_POSITION

    def add(self, entries: Sequence[Entry], *, after: str) -> bool:
        """Write entries and move the position; False where another bookkeeper was faster."""
        with transaction(self._engine) as session:
            moved = session.execute(
                update(RefusalPosition)
                .where(RefusalPosition.id == 1, RefusalPosition.stream_id == after)
                .values(stream_id=entries[-1][0])
            )
            if moved.rowcount != 1:  # type: ignore[attr-defined]  # a CursorResult has it
                return False
            calls = [call for _, call in entries]
            session.add_all(_row(call) for call in calls if call.user_id is not None)
            self._count(session, calls)
            return True

    def _count(self, session: Session, calls: Sequence[RefusedCall]) -> None:
        counts: dict[tuple[datetime, str, str], int] = defaultdict(int)
        for call in calls:
            counts[local_hour(call.at, self._zone), call.outcome.value, call.reason] += call.count
        statement = insert_into(self._engine, RefusalHour)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["hour", "outcome", "reason"],
                set_={"count": table_of(RefusalHour).c.count + statement.excluded.count},
            ),
            [
                {"hour": hour, "outcome": outcome, "reason": reason, "count": count}
                for (hour, outcome, reason), count in counts.items()
            ],
        )


def _row(call: RefusedCall) -> RefusalRow:
    budget = call.budget
    return RefusalRow(
        at=call.at,
        outcome=call.outcome.value,
        reason=call.reason,
        operation=call.operation,
        request_id=call.request_id,
        user_id=call.user_id,
        key_id=call.key_id,
        model=call.model,
        scope=budget and budget.scope,
        window=budget and budget.window,
        limit_nano_usd=budget and budget.limit,
        spent_nano_usd=budget and budget.spent,
        held_nano_usd=budget and budget.held,
        needed_nano_usd=budget and budget.needed,
        resets_at=budget and budget.resets_at,
        **(asdict(budget.hold) if budget and budget.hold else {}),
    )


def _read_call(text: str) -> RefusedCall:
    facts = orjson.loads(text)
    budget = facts.pop("budget")
    call = RefusedCall(
        **facts | {"at": datetime.fromisoformat(facts["at"]), "outcome": Outcome(facts["outcome"])}
    )
    if budget is None:
        return call
    resets_at = datetime.fromisoformat(budget.pop("resets_at"))
    # Entries of an earlier version do not have it.
    hold = budget.pop("hold", None)
    needed = NeededHold(**hold) if hold else None
    return replace(call, budget=Refusal(**budget, resets_at=resets_at, hold=needed))
