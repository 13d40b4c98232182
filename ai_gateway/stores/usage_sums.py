"""Sums of usage and cost from the roll-ups: of the installation, or of one user.

Whole local days of the installation have sums of their own, so that a long span reads few rows;
one user's are few anyway and come from the hours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all

from ai_gateway.domain.money import ZERO, Money
from ai_gateway.stores.outbox_tables import OutboxPosition
from ai_gateway.stores.rollup_tables import ModelDay, ModelHour, UsageHour
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import db


class Step(StrEnum):
    """How long a sum is: an hour or a day of the reporting zone."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Part:
    """Sums of one length, from `since` to before `until`; None is no end."""

    step: Step
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class UsageSums:
    """Sums over a span. `tokens` are input and output; cached input is part of input."""

    requests: int = 0
    failures: int = 0
    cancellations: int = 0
    unpriced: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: int = 0
    cost: Money = ZERO

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @classmethod
    def of_all(cls, sums: Iterable["UsageSums"]) -> "UsageSums":
        """The sum; column by column, since a page adds up thousands of them."""
        columns = zip(*map(_numbers, sums), strict=True)
        numbers = dict(zip(_NAMES, map(sum, columns), strict=False))
        cost = Money(numbers.pop("cost", 0))
        return cls(**numbers, cost=cost)

    @property
    def error_rate(self) -> Fraction | None:
        """The part of the requests that failed, 0 to 1; None without requests."""
        return Fraction(self.failures, self.requests) if self.requests else None

    @property
    def average_cost(self) -> Fraction | None:
        """Total cost by total requests, in nano-USD; None without requests."""
        return Fraction(self.cost, self.requests) if self.requests else None

    @property
    def average_latency_ms(self) -> Fraction | None:
        """The mean, over all admitted requests; None without requests."""
        return Fraction(self.latency_ms, self.requests) if self.requests else None


_NAMES = tuple(field.name for field in fields(UsageSums))
_numbers = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class ModelSums:
    """What went to one model of one provider."""

    provider: str
    model: str
    sums: UsageSums


@dataclass(frozen=True, slots=True)
class ModelSumsAt:
    """What went to one model in the hour or day that began at `start`.

    `part` is the place of its part among those that were asked for.
    """

    part: int
    start: datetime
    provider: str
    model: str
    sums: UsageSums


class UsageSumsStore:
    """Reads of the roll-ups; without a `user_id`, of the whole installation."""

    @translated_errors()
    def series(self, *parts: Part, user_id: int | None = None) -> tuple[ModelSumsAt, ...]:
        """The sums of each hour or day of each part, in one statement; a user's are by the hour."""
        return tuple(map(_read_row, db.session.execute(_series(parts, user_id))))

    @translated_errors()
    def present(
        self, *parts: Part, user_id: int | None = None
    ) -> tuple[int, tuple[ModelSumsAt, ...]]:
        """The same, and how often a day that was over was changed until then, in one statement.

        It takes another one where there is nothing to sum.
        """
        rows = db.session.execute(_series(parts, user_id).add_columns(_LATE_BOOKINGS)).all()
        late_bookings = (rows[0][-1] or 0) if rows else self.late_bookings()
        return late_bookings, tuple(_read_row(row[:-1]) for row in rows)

    @translated_errors()
    def late_bookings(self) -> int:
        """How often a day that was over was changed."""
        return db.session.scalar(select(_LATE_BOOKINGS)) or 0


_SUMMED = (
    "requests",
    "failures",
    "cancellations",
    "unpriced",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "latency_ms",
    "cost_nano_usd",
)


_LATE_BOOKINGS = select(OutboxPosition.late_bookings).scalar_subquery()
"""The table has one row, or none before the first booking."""


def _series(parts: Sequence[Part], user_id: int | None) -> Select[Any]:
    numbered = (_rows(part, number, user_id) for number, part in enumerate(parts))
    rows = union_all(*numbered).subquery()
    key = [rows.c[name] for name in ("part", "start", "provider", "model")]
    sums = [func.sum(rows.c[name]) for name in _SUMMED]
    return select(*key, *sums).group_by(*key).order_by(*key)


def _read_row(row: Sequence[Any]) -> ModelSumsAt:
    part, start, provider, model, *numbers = row
    return ModelSumsAt(part, start, provider, model, _read_sums(numbers))


def _rows(part: Part, number: int, user_id: int | None) -> Select[tuple[object, ...]]:
    table: type[UsageHour | ModelHour | ModelDay]
    if user_id is not None:
        table, start = UsageHour, UsageHour.hour
    elif part.step is Step.HOUR:
        table, start = ModelHour, ModelHour.hour
    else:
        table, start = ModelDay, ModelDay.day
    where: list[ColumnElement[bool]] = [start >= part.since]
    if part.until is not None:
        where.append(start < part.until)
    if user_id is not None:
        where.append(UsageHour.user_id == user_id)
    summed = [getattr(table, name) for name in _SUMMED]
    place = literal(number).label("part")
    return select(place, start.label("start"), table.provider, table.model, *summed).where(*where)


def _read_sums(row: Sequence[Any]) -> UsageSums:
    # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
    numbers = dict(zip(_SUMMED, map(int, row), strict=True))
    cost = Money(numbers.pop("cost_nano_usd"))
    return UsageSums(**numbers, cost=cost)
