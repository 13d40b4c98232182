"""The last refused requests for pages, and how many there were in a span: one statement."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, true

from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import User, db


@dataclass(frozen=True, slots=True)
class RecentRefusal:
    """One refused request of a known user."""

    request_id: str
    at: datetime
    user_id: int
    username: str | None
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refusals:
    """The newest ones of all times, and the number of all within the span, strangers too."""

    newest: tuple[RecentRefusal, ...]
    in_span: int


class RecentRefusals:
    """Reads only."""

    @translated_errors()
    def read(self, count: int, since: datetime, until: datetime | None) -> Refusals:
        hours = [RefusalHour.hour >= since]
        if until is not None:
            hours.append(RefusalHour.hour < until)
        number = (
            select(func.coalesce(func.sum(RefusalHour.count), 0).label("number"))
            .where(*hours)
            .subquery()
        )
        newest = (
            select(RefusalRow)
            .order_by(RefusalRow.at.desc(), RefusalRow.id.desc())
            .limit(count)
            .subquery()
        )
        row = newest.c
        query = (
            select(
                number.c.number,
                *(row.request_id, row.at, row.user_id, User.username, row.model, row.reason),
            )
            .select_from(number)
            .outerjoin(newest, true())
            .outerjoin(User, User.id == row.user_id)
            .order_by(row.at.desc(), row.id.desc())
        )
        rows = db.session.execute(query).all()
        return Refusals(
            # Where nothing was refused yet, the one row has the number alone.
            tuple(RecentRefusal(*facts) for _, *facts in rows if facts[0] is not None),
            int(rows[0][0]),
        )
