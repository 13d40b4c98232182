"""Writes a population into an empty database in bulk, with the roll-ups that the ledger would make.

The roll-ups are made by one statement each; `unlike_the_ledger` compares them with those that the
ledger's own functions make of the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    column,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
)

from ai_gateway.domain.limits import INSTALLATION_ID, Scope
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.rollup_tables import (
    LatencyBucket,
    LatencyDay,
    ModelDay,
    ModelHour,
    OutcomeHour,
    UsageHour,
)
from ai_gateway.stores.rollups import (
    CALL,
    DURATION,
    FIRST_TOKEN,
    HOUR_SUMS,
    OVERHEAD,
    bucket_of,
)
from ai_gateway.stores.tables import (
    AccountTotal,
    AuditRow,
    Base,
    LedgerEntry,
    SpendLimit,
    User,
    VirtualKey,
)
from bench.scale import population
from bench.scale.bulk import prepare, tidy_up
from bench.scale.earlier_months import copy_to_earlier_month, without_indexes
from bench.scale.population import Population, Row

Shown = Callable[[Sequence[Any], str], Iterable[Any]]
"""Hands out what it is given and tells how far it is."""


@dataclass(frozen=True, slots=True)
class Starts:
    """SQL of a dialect: the hour, the day and both windows in which an entry was admitted."""

    hour: str
    day: str
    day_id: str
    month_id: str


STARTS = {
    "sqlite": Starts(
        "substr(admitted_at, 1, 13) || ':00:00.000000'",
        "substr(hour, 1, 10) || ' 00:00:00.000000'",
        "substr(admitted_at, 1, 10)",
        "substr(admitted_at, 1, 7)",
    ),
    "postgresql": Starts(
        "date_trunc('hour', admitted_at, 'UTC')",
        "date_trunc('day', hour, 'UTC')",
        "to_char(admitted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
        "to_char(admitted_at AT TIME ZONE 'UTC', 'YYYY-MM')",
    ),
}


def seed(engine: Engine, people: Population, shown: Shown, *, months_before: int = 0) -> None:
    """Fill a database whose tables are there and have nothing in them but what `setup` made.

    The ledger has the same once more in each of the `months_before`.
    """
    with engine.connect() as connection:
        prepare(connection)
        with without_indexes(connection):
            with connection.begin():
                _write_people(connection, people)
                _write_ledger(connection, people, shown)
            months = range(1, months_before + 1)
            for month in shown(months, "earlier months"):
                copy_to_earlier_month(connection, people.rows, month)
        for step in shown(_ROLL_UPS, "roll-ups"):
            with connection.begin():
                step(connection, STARTS[engine.dialect.name])
        # Its settings are not those of the gateway.
        connection.invalidate()
    tidy_up(engine)


def _write_people(connection: Connection, people: Population) -> None:
    for model, columns, rows in (
        (User, population.USER_COLUMNS, people.user_rows()),
        (VirtualKey, population.KEY_COLUMNS, people.key_rows()),
        (SpendLimit, population.LIMIT_COLUMNS, people.limit_rows()),
        (AuditRow, population.AUDIT_COLUMNS, people.audit_rows()),
        (RefusalRow, population.REFUSAL_COLUMNS, people.refusal_rows()),
    ):
        _write(connection, model, columns, rows)


def _write_ledger(connection: Connection, people: Population, shown: Shown) -> None:
    seq = 1
    for hour, count in shown(people.hours(), "ledger"):
        rows = people.entries(hour, count, seq)
        _write(connection, LedgerEntry, population.ENTRY_COLUMNS, rows)
        seq += count


def _write(
    connection: Connection, model: type[Base], columns: Sequence[str], rows: Iterator[Row]
) -> None:
    target = _table(model).name
    names = ", ".join(f'"{name}"' for name in columns)
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{target}" ({names}) VALUES ({marks})'  # noqa: S608  # ours
        driver.executemany(statement, rows)
        return
    with driver.cursor() as cursor, cursor.copy(f'COPY "{target}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)


def _usage_hours(connection: Connection, starts: Starts) -> None:
    keys = (
        _sql(starts.hour),
        LedgerEntry.user_id,
        LedgerEntry.provider,
        LedgerEntry.model,
    )
    _sum_up(connection, UsageHour, LedgerEntry, keys)


def _model_hours(connection: Connection, _starts: Starts) -> None:
    _sum_up(connection, ModelHour, UsageHour, (UsageHour.hour, UsageHour.provider, UsageHour.model))


def _model_days(connection: Connection, starts: Starts) -> None:
    keys = (_sql(starts.day), ModelHour.provider, ModelHour.model)
    _sum_up(connection, ModelDay, ModelHour, keys)


def _sum_up(connection: Connection, target: type[Base], source: Any, keys: tuple[Any, ...]) -> None:
    names = [column.name for column in _table(target).primary_key]
    sums = [func.sum(getattr(source, name)) for name in HOUR_SUMS]
    query = select(*keys, *sums).select_from(source).group_by(*keys)
    if source is LedgerEntry:
        query = query.where(LedgerEntry.kind == CALL)
    connection.execute(insert(target).from_select([*names, *HOUR_SUMS], query))


def _user_accounts(connection: Connection, starts: Starts) -> None:
    for window in (starts.day_id, starts.month_id):
        _add_accounts(connection, Scope.USER, LedgerEntry.user_id, window)


def _key_accounts(connection: Connection, starts: Starts) -> None:
    for window in (starts.day_id, starts.month_id):
        _add_accounts(connection, Scope.KEY, VirtualKey.id, window)


def _installation_accounts(connection: Connection, starts: Starts) -> None:
    subject = literal(INSTALLATION_ID, BigInteger)
    _add_accounts(connection, Scope.INSTALLATION, subject, starts.month_id)


def _add_accounts(connection: Connection, scope: Scope, subject: Any, window: str) -> None:
    cost = func.sum(LedgerEntry.cost_nano_usd)
    sums = (cost, cost, func.sum(LedgerEntry.requests), func.max(LedgerEntry.admitted_at))
    window_id = _sql(window)
    query = (
        select(literal(scope.value), subject, window_id, *sums, literal(False))  # noqa: FBT003
        .select_from(LedgerEntry)
        .group_by(window_id)
    )
    if scope is not Scope.INSTALLATION:
        query = query.group_by(subject)
    if scope is Scope.KEY:
        query = query.join(VirtualKey, VirtualKey.key_id == LedgerEntry.key_id)
    names = ["scope", "subject_id", "window_id", "spent_nano_usd", "cost_nano_usd"]
    names += ["requests", "last_request_at", "is_refused"]
    connection.execute(insert(AccountTotal).from_select(names, query))


def _latencies(connection: Connection, starts: Starts) -> None:
    """The ledger's function numbers the buckets; only the counting is left to SQL."""
    connection.exec_driver_sql(
        "CREATE TEMP TABLE bucket_of (time INTEGER PRIMARY KEY, bucket INTEGER)"
    )
    most = connection.scalar(select(func.max(LedgerEntry.latency_ms))) or 0
    rows = [{"time": time, "bucket": bucket_of(time)} for time in range(int(most) + 1)]
    connection.execute(insert(_BUCKETS), rows)
    hour = _sql(starts.hour)
    for kind, measured in MEASURED.items():
        keys = (hour, LedgerEntry.provider, LedgerEntry.model)
        query = (
            select(*keys, literal(kind), _BUCKETS.c.bucket, func.count())
            .select_from(LedgerEntry)
            .join(_BUCKETS, _BUCKETS.c.time == measured)
            .where(*_FIRST_ENTRIES)
            .group_by(*keys, _BUCKETS.c.bucket)
        )
        _fill(connection, LatencyBucket, query)
    connection.exec_driver_sql("DROP TABLE bucket_of")


def _latency_days(connection: Connection, starts: Starts) -> None:
    of = LatencyBucket
    keys = (_sql(starts.day), of.provider, of.kind, of.bucket)
    _fill(connection, LatencyDay, select(*keys, func.sum(of.count)).group_by(*keys))


def _outcomes(connection: Connection, starts: Starts) -> None:
    keys = (_sql(starts.hour), LedgerEntry.provider, LedgerEntry.outcome)
    query = select(*keys, func.count()).where(*_FIRST_ENTRIES).group_by(*keys)
    _fill(connection, OutcomeHour, query)


def _refusal_hours(connection: Connection, starts: Starts) -> None:
    hour = _sql(starts.hour.replace("admitted_at", "at"))
    keys = (hour, RefusalRow.outcome, RefusalRow.reason)
    _fill(connection, RefusalHour, select(*keys, func.count()).group_by(*keys))


def _fill(connection: Connection, target: type[Base], query: Any) -> None:
    """Insert what a query counts by the key of a table."""
    names = [column.name for column in _table(target).primary_key]
    connection.execute(insert(target).from_select([*names, "count"], query))


MEASURED = {
    DURATION: LedgerEntry.latency_ms,
    FIRST_TOKEN: LedgerEntry.ttft_ms,
    # The ledger does not keep it: as many microseconds of ours as milliseconds of the provider's.
    OVERHEAD: LedgerEntry.latency_ms,
}
_FIRST_ENTRIES = (LedgerEntry.kind == CALL, LedgerEntry.requests > 0)
_BUCKETS = table("bucket_of", column("time"), column("bucket"))
_ROLL_UPS = (
    _usage_hours,
    _model_hours,
    _model_days,
    _user_accounts,
    _key_accounts,
    _installation_accounts,
    _latencies,
    _latency_days,
    _outcomes,
    _refusal_hours,
)


def _sql(text: str) -> ColumnElement[Any]:
    return literal_column(text)


def _table(model: type[Base]) -> Table:
    found = model.__table__
    if not isinstance(found, Table):
        raise TypeError(f"{model.__name__} is no plain table")
    return found
