"""Sums of the whole installation for the system page: outcomes, times and refusals."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from ai_gateway.stores.outbox_tables import SetAsideEntry
from ai_gateway.stores.refusal_tables import RefusalHour
from ai_gateway.stores.rollup_tables import LatencyBucket, LatencyDay, OutcomeHour
from ai_gateway.stores.rollups import DURATION
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import LedgerEntry, db
from ai_gateway.stores.usage_sums import Part, Step


@dataclass(frozen=True, slots=True)
class OutcomeCount:
    """How many calls to one provider ended so in the hour that began at `hour`."""

    hour: datetime
    provider: str
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class EndingCount:
    """How many calls ended so in the hour that began at `hour`."""

    hour: datetime
    outcome: str
    count: int


@dataclass(frozen=True, slots=True)
class TimeCount:
    """How many times of one kind fell into a bucket, in the hour or day from `start`."""

    start: datetime
    kind: str
    bucket: int
    count: int


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """How many requests were refused for one reason in the hour that began at `hour`."""

    hour: datetime
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """How much is booked, from when on, and how much could not be."""

    entries: int
    oldest: datetime | None
    set_aside: int


class SystemSums:
    """Reads of roll-ups; `LedgerFacts` are from the ends of indexes."""

    @translated_errors()
    def outcomes(self, since: datetime, until: datetime | None) -> tuple[OutcomeCount, ...]:
        query = (
            select(OutcomeHour.hour, OutcomeHour.provider, OutcomeHour.outcome, OutcomeHour.count)
            .where(*_span(OutcomeHour.hour, since, until), OutcomeHour.count != 0)
            .order_by(OutcomeHour.hour)
        )
        return tuple(OutcomeCount(*row) for row in db.session.execute(query))

    @translated_errors()
    def endings(self, since: datetime, until: datetime | None) -> tuple[EndingCount, ...]:
        """The same over all providers, so that a long span is few rows."""
        query = (
            select(OutcomeHour.hour, OutcomeHour.outcome, func.sum(OutcomeHour.count))
            .where(*_span(OutcomeHour.hour, since, until), OutcomeHour.count != 0)
            .group_by(OutcomeHour.hour, OutcomeHour.outcome)
        )
        return tuple(
            EndingCount(hour, outcome, int(count))
            for hour, outcome, count in db.session.execute(query)
        )

    @translated_errors()
    def times(self, part: Part) -> tuple[TimeCount, ...]:
        """Over all providers and models, by hour or by day."""
        table, start = _latencies(part)
        query = (
            select(start, table.kind, table.bucket, func.sum(table.count))
            .where(*_span(start, part.since, part.until))
            .group_by(start, table.kind, table.bucket)
        )
        return tuple(
            # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
            TimeCount(at, kind, bucket, int(count))
            for at, kind, bucket, count in db.session.execute(query)
        )

    @translated_errors()
    def durations(self, part: Part) -> dict[str, dict[int, int]]:
        """How many calls to each provider fell into each bucket of duration."""
        table, start = _latencies(part)
        query = (
            select(table.provider, table.bucket, func.sum(table.count))
            .where(*_span(start, part.since, part.until), table.kind == DURATION)
            .group_by(table.provider, table.bucket)
        )
        found: dict[str, dict[int, int]] = defaultdict(dict)
        for provider, bucket, count in db.session.execute(query):
            found[provider][bucket] = int(count)
        return found

    @translated_errors()
    def refusals(self, since: datetime, until: datetime | None) -> tuple[RefusalCount, ...]:
        query = (
            select(RefusalHour.hour, RefusalHour.reason, func.sum(RefusalHour.count))
            .where(*_span(RefusalHour.hour, since, until))
            .group_by(RefusalHour.hour, RefusalHour.reason)
        )
        return tuple(
            RefusalCount(hour, reason, int(count))
            for hour, reason, count in db.session.execute(query)
        )

    @translated_errors()
    def ledger(self) -> LedgerFacts:
        """`entries` is the last number given, since counting rows would read them all."""
        last, oldest, set_aside = (
            select(func.max(LedgerEntry.id)).scalar_subquery(),
            select(func.min(LedgerEntry.admitted_at)).scalar_subquery(),
            select(func.count(SetAsideEntry.stream_id)).scalar_subquery(),
        )
        row = db.session.execute(select(last, oldest, set_aside)).one()
        return LedgerFacts(row[0] or 0, row[1], row[2])


def _span(start: Any, since: datetime, until: datetime | None) -> Sequence[ColumnElement[bool]]:
    return [start >= since] if until is None else [start >= since, start < until]


def _latencies(
    part: Part,
) -> tuple[type[LatencyDay | LatencyBucket], InstrumentedAttribute[datetime]]:
    if part.step is Step.DAY:
        return LatencyDay, LatencyDay.day
    return LatencyBucket, LatencyBucket.hour
