"""Compares seeded roll-ups with those that the ledger's own functions make of the same entries.

Were they different, the pages would be measured on something that no gateway ever writes.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, RowMapping, Select, inspect, select

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Scope, Window, window_id
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry
from ai_gateway.stores import rollups
from ai_gateway.stores.rollup_tables import (
    LatencyBucket,
    LatencyDay,
    ModelDay,
    ModelHour,
    OutcomeHour,
    UsageHour,
)
from ai_gateway.stores.rollups import OVERHEAD
from ai_gateway.stores.tables import AccountTotal, Base, LedgerEntry, VirtualKey
from bench.scale.seeding import MEASURED

ZONE = ZoneInfo("UTC")
ONE_DAY = timedelta(days=1)

Rows = set[tuple[Any, ...]]


def differences_of_day(engine: Engine, day: datetime) -> list[str]:
    """The tables whose rows of one day are not what the ledger would have."""
    until = day + ONE_DAY
    made = _entries(engine, LedgerEntry.admitted_at >= day, LedgerEntry.admitted_at < until)
    earlier = {(one.request_id, one.entry_no): str(one.words["outcome"]) for one in made}
    pairs: list[tuple[type[Base], ColumnElement[datetime], list[rollups.Row]]] = [
        (UsageHour, _column(UsageHour.hour), rollups.by_hour(made, ZONE)),
        (ModelHour, _column(ModelHour.hour), rollups.by_model_hour(made, ZONE)),
        (ModelDay, _column(ModelDay.day), rollups.by_model_day(made, ZONE)),
        (LatencyBucket, _column(LatencyBucket.hour), rollups.by_latency_hour(made, ZONE)),
        (LatencyDay, _column(LatencyDay.day), rollups.by_latency_day(made, ZONE)),
        (OutcomeHour, _column(OutcomeHour.hour), rollups.by_outcome(made, earlier, ZONE)),
    ]
    return [
        table.__tablename__
        for table, start, wanted in pairs
        if _stored(engine, table, start >= day, start < until) != _as_rows(table, wanted)
    ]


def differences_of_accounts(engine: Engine, user_ids: Sequence[int]) -> list[str]:
    """The accounts of some users and of their keys that are not what the ledger would have."""
    made = _entries(engine, LedgerEntry.user_id.in_(user_ids))
    wanted = _as_rows(AccountTotal, rollups.by_account(made))
    keys = select(VirtualKey.id).where(VirtualKey.user_id.in_(user_ids))
    own = (AccountTotal.scope == Scope.USER) & AccountTotal.subject_id.in_(user_ids)
    of_keys = (AccountTotal.scope == Scope.KEY) & AccountTotal.subject_id.in_(keys)
    stored = _stored(engine, AccountTotal, own | of_keys)
    return sorted({str(row[:3]) for row in stored ^ wanted if row[0] != Scope.INSTALLATION})


def _entries(engine: Engine, *where: ColumnElement[bool]) -> list[OutboxEntry]:
    query: Select[*tuple[Any, ...]] = (
        select(LedgerEntry.__table__, VirtualKey.id.label("key_number"))
        .join(VirtualKey, VirtualKey.key_id == LedgerEntry.key_id)
        .where(*where)
    )
    with engine.connect() as connection:
        return [_entry(row) for row in connection.execute(query).mappings()]


def _entry(row: RowMapping) -> OutboxEntry:
    words = ("user_id", "provider", "model", "ttft_ms", "outcome")
    return OutboxEntry(
        stream_id=row["stream_id"],
        kind=row["kind"],
        request_id=row["request_id"],
        entry_no=row["entry_no"],
        seq=row["seq"],
        cost=Money(row["cost_nano_usd"]),
        total=Money(row["total_after_nano_usd"]),
        tally={name: row[name] for name in TALLY_FIELDS},
        accounts=tuple(_accounts(row)),
        words={name: row[name] for name in words},
        admitted_at=row["admitted_at"],
        settled_at=row["settled_at"],
        overhead_us=row[MEASURED[OVERHEAD].key],
    )


def _accounts(row: RowMapping) -> Iterable[Account]:
    subjects = {
        Scope.INSTALLATION: (INSTALLATION_ID, (Window.MONTH,)),
        Scope.USER: (row["user_id"], tuple(Window)),
        Scope.KEY: (row["key_number"], tuple(Window)),
    }
    for scope, (subject_id, windows) in subjects.items():
        for window in windows:
            yield Account(scope, subject_id, window, window_id(window, row["admitted_at"], ZONE))


def _stored(engine: Engine, table: type[Base], *where: ColumnElement[bool]) -> Rows:
    with engine.connect() as connection:
        found = connection.execute(select(table.__table__).where(*where)).mappings()
        return _as_rows(table, found)


def _as_rows(table: type[Base], rows: Iterable[Any]) -> Rows:
    names = [attribute.key for attribute in inspect(table).column_attrs]
    return {tuple(_plain(row[name]) for name in names) for row in rows}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _column(attribute: Any) -> ColumnElement[datetime]:
    return attribute.expression  # type: ignore[no-any-return]  # a mapped attribute has it
