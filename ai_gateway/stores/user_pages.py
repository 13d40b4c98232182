"""The users with their budgets, one page after another by keyset.

A page begins behind the last user of the one before, wherever that user stood then, so that who
comes or goes meanwhile moves nobody else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select

from ai_gateway.domain.spend_list import OpenWindows, Selection, SpendSort, UserBudgets
from ai_gateway.stores.budget_use import BudgetUseStore
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import db
from ai_gateway.stores.user_sorting import sorting_query

Value = str | int | datetime | None
Place = tuple[Value, ...]
"""The values by which a user was sorted, the id last."""


@dataclass(frozen=True, slots=True)
class PageAsked:
    """Which users, in which order, and behind which place."""

    selection: Selection
    sort: SpendSort
    is_descending: bool
    count: int
    behind: Place | None = None


@dataclass(frozen=True, slots=True)
class UserPage:
    """Some users, and the place of the last one; None where nobody comes behind."""

    users: tuple[UserBudgets, ...]
    last: Place | None


class UserPages:
    """Reads by two statements, whatever the page."""

    def __init__(self) -> None:
        self._budgets = BudgetUseStore()

    @translated_errors()
    def read(self, windows: OpenWindows, asked: PageAsked) -> UserPage:
        users = sorting_query(windows, asked.sort)
        search = asked.selection.search
        order = users.ordered_by(asked.sort, search, is_descending=asked.is_descending)
        query = (
            users.join(select(*(column for column, _ in order)))
            .where(users.chosen(asked.selection))
            .order_by(*users.order(asked.sort, search, is_descending=asked.is_descending))
            # One more than asked for tells whether there is another page.
            .limit(asked.count + 1)
        )
        if asked.behind is not None:
            query = query.where(_behind(order, asked.behind))
        rows = [tuple(row) for row in db.session.execute(query)]
        shown = rows[: asked.count]
        ids = [row[-1] for row in shown]
        found = self._budgets.of_users(windows, ids)
        last = tuple(map(_plain, shown[-1])) if len(rows) > asked.count else None
        return UserPage(tuple(found[one] for one in ids if one in found), last)


def _behind(order: Sequence[tuple[ColumnElement[Any], bool]], place: Place) -> ColumnElement[bool]:
    """Later in the order: in the first column, or equal there and later in the rest."""
    (column, falls), *rest = order
    value, *values = place
    later = _later(column, value, falls=falls)
    if not rest:
        return later
    equal = column.is_(value) if value is None or isinstance(value, bool) else column == value
    return or_(later, and_(equal, _behind(rest, tuple(values))))


def _later(column: ColumnElement[Any], value: Value, *, falls: bool) -> ColumnElement[bool]:
    if value is None:
        # Another column before it tells the missing ones from the others.
        return false()
    if isinstance(value, bool):
        return column.is_(not value) if value is falls else false()
    return column < value if falls else column > value


def _plain(value: Any) -> Any:
    # PostgreSQL computes some of the integers as numeric.
    return int(value) if isinstance(value, Decimal) else value
