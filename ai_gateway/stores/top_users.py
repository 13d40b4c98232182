"""Who costs most: in one day, and over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import Money
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import AccountTotal, User, db


@dataclass(frozen=True, slots=True)
class UserSums:
    """What one user caused; a user that is gone from the table has no name."""

    user_id: int
    username: str | None
    email: str | None
    requests: int
    cost: Money


@dataclass(frozen=True, slots=True)
class UserCostAt:
    """What one user caused in the hour that began at `start`, or on the day of that name."""

    user_id: int
    username: str | None
    start: datetime | str
    requests: int
    cost: Money


@dataclass(frozen=True, slots=True)
class DaySpan:
    """Local days, both inclusive. Where the span is running, the last one is today."""

    first: date
    last: date
    is_running: bool

    @property
    def months(self) -> list[str]:
        """The names of the months that the days are in."""
        return [f"{month:%Y-%m}" for month in self._month_starts()]

    def pieces(self) -> tuple[list[str], list[tuple[str, str]]]:
        """As few windows as add up to it: whole months, and days from and to in the others."""
        months, parts = [], []
        for month in self._month_starts():
            end = _month_after(month) - timedelta(days=1)
            since, until = max(self.first, month), min(self.last, end)
            # Of this month there is no more than up to today.
            if since == month and (until == end or self.is_running):
                months.append(f"{month:%Y-%m}")
            else:
                parts.append((since.isoformat(), until.isoformat()))
        return months, parts

    def _month_starts(self) -> Iterator[date]:
        month = self.first.replace(day=1)
        while month <= self.last:
            yield month
            month = _month_after(month)


def _month_after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


class TopUsers:
    """Reads only. The order is by cost, ties go by requests, then by id."""

    @translated_errors()
    def of_day(self, day: str, count: int) -> tuple[UserSums, ...]:
        """The dearest users of one local day (`2026-11-25`)."""
        top = (
            select(AccountTotal.subject_id, AccountTotal.requests, AccountTotal.cost_nano_usd)
            .where(
                AccountTotal.window_id == day,
                # Were it an equality, SQLite would go through all days that there ever were.
                AccountTotal.scope.between(Scope.USER, Scope.USER),
                AccountTotal.requests > 0,
            )
            .order_by(
                AccountTotal.cost_nano_usd.desc(),
                AccountTotal.requests.desc(),
                AccountTotal.subject_id,
            )
            .limit(count)
            .subquery()
        )
        query = (
            select(top.c.subject_id, User.username, User.email, top.c.requests, top.c.cost_nano_usd)
            .outerjoin_from(top, User, User.id == top.c.subject_id)
            .order_by(top.c.cost_nano_usd.desc(), top.c.requests.desc(), top.c.subject_id)
        )
        return tuple(
            UserSums(user_id, username, email, requests, Money(cost))
            for user_id, username, email, requests, cost in db.session.execute(query)
        )

    @translated_errors()
    def by_day(self, days: DaySpan, count: int) -> tuple[UserCostAt, ...]:
        """The days of the dearest users of them all; not of those who are gone."""
        window = AccountTotal.window_id
        months, parts = days.pieces()
        # User by user, SQLite reads the windows of the span alone, not all that there ever were.
        of_user = and_(
            AccountTotal.subject_id == User.id,
            AccountTotal.scope == Scope.USER,
            window.between(days.months[0], days.last.isoformat()),
            or_(window.in_(months), *(window.between(*part) for part in parts)),
        )
        sums = _Sums(AccountTotal.requests, AccountTotal.cost_nano_usd)
        whose = select(User.id).outerjoin(AccountTotal, of_user)
        dearest = sums.dearest(whose, User.__table__.c.id, count)
        where = (
            AccountTotal.scope == Scope.USER,
            window.between(days.first.isoformat(), days.last.isoformat()),
            # Their names lie between those of days.
            window.not_in(days.months),
        )
        return sums.over_time(AccountTotal.subject_id, window, where, dearest)

    @translated_errors()
    def by_hour(
        self, since: datetime, until: datetime | None, count: int
    ) -> tuple[UserCostAt, ...]:
        """The hours of a short span, of the dearest users of them all."""
        where: list[ColumnElement[bool]] = [UsageHour.hour >= since]
        if until is not None:
            where.append(UsageHour.hour < until)
        # By the column alone, SQLite reads the hours of all times in the order of their users.
        user_id = UsageHour.user_id + literal_column("0")
        sums = _Sums(UsageHour.requests, UsageHour.cost_nano_usd)
        dearest = sums.dearest(select(user_id).where(*where), user_id, count)
        return sums.over_time(UsageHour.user_id, UsageHour.hour, where, dearest)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What is summed for each user."""

    requests: InstrumentedAttribute[int]
    cost: InstrumentedAttribute[int]

    def dearest(self, whose: Select[int], user_id: ColumnElement[int], count: int) -> list[int]:
        """The ids of the users that cost most in what `whose` selects."""
        query = (
            whose.group_by(user_id)
            .order_by(_sum(self.cost).desc(), _sum(self.requests).desc(), user_id)
            .limit(count)
        )
        return list(db.session.scalars(query))

    def over_time(
        self,
        user_id: InstrumentedAttribute[int],
        start: InstrumentedAttribute[Any],
        where: Sequence[ColumnElement[bool]],
        dearest: Sequence[int],
    ) -> tuple[UserCostAt, ...]:
        """Each hour or day of these users."""
        query = (
            select(user_id, User.username, start, _sum(self.requests), _sum(self.cost))
            .outerjoin(User, User.id == user_id)
            .where(*where, user_id.in_(dearest))
            .group_by(user_id, User.username, start)
            .order_by(start, user_id)
        )
        return tuple(
            # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
            UserCostAt(found_id, username, at, int(number), Money(int(total)))
            for found_id, username, at, number, total in db.session.execute(query)
        )


def _sum(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    # Whoever has no row has no sum.
    return func.coalesce(func.sum(column), 0)
