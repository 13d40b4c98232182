"""How much of their budgets the users have spent, filtered, sorted and cut into pages by SQL."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine, case, func, literal, select

from ai_gateway.domain.limits import INSTALLATION_ID, Budget, Scope, Window
from ai_gateway.domain.spend_list import (
    BudgetUse,
    FilterCounts,
    OpenWindow,
    OpenWindows,
    PageCut,
    Selection,
    UserBudgets,
)
from ai_gateway.stores import sql
from ai_gateway.stores.budget_columns import EXCEEDED, WARNING, BudgetColumns, UserQuery
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import User, db
from ai_gateway.stores.user_sorting import sorting_query

ROWS_AT_ONCE = 250
"""A worker's loop stands still while a batch is read and written out: some 25 ms for so many."""


class BudgetUseStore:
    """Reads of the accounts and limits of the windows that are open."""

    @translated_errors()
    def installation(self, window: OpenWindow) -> BudgetUse:
        """The month of the whole installation."""
        anchor = select(literal(INSTALLATION_ID).label("id")).subquery()
        month = BudgetColumns(Budget(Scope.INSTALLATION, Window.MONTH), window, anchor.c.id)
        row = db.session.execute(month.join(select(*month.facts).select_from(anchor))).one()
        return month.read(row)

    @translated_errors()
    def count(self, windows: OpenWindows, search: str = "") -> FilterCounts:
        users = UserQuery(windows)

        def how_many(condition: Any) -> Any:
            return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)

        query = select(
            func.count(User.id),
            how_many(users.rank >= WARNING),
            how_many(users.rank == EXCEEDED),
            how_many(users.is_unlimited),
        )
        found = users.join(query).where(users.chosen(Selection(search=search)))
        row = db.session.execute(found).one()
        return FilterCounts(*(int(number) for number in row))

    @translated_errors()
    def page(
        self, windows: OpenWindows, cut: PageCut, selection: Selection
    ) -> tuple[UserBudgets, ...]:
        users = sorting_query(windows, cut.sort)
        # Sorting ids alone is much quicker than sorting all that is shown.
        ids = (
            users.join(select(User.id))
            .where(users.chosen(selection))
            .order_by(*users.order(cut.sort, selection.search, is_descending=cut.is_descending))
            .offset(cut.offset)
            .limit(cut.count)
        )
        wanted = list(db.session.scalars(ids))
        found = self.of_users(windows, wanted)
        return tuple(found[user_id] for user_id in wanted if user_id in found)

    @translated_errors()
    def of_users(self, windows: OpenWindows, user_ids: Sequence[int]) -> dict[int, UserBudgets]:
        """The budgets of the named users; those that are gone are left out."""
        users = UserQuery(windows)
        query = users.join(users.select()).where(User.id.in_(user_ids))
        found = (users.read(row) for row in db.session.execute(query))
        return {budgets.user_id: budgets for budgets in found}


class UserBatches:
    """Reads all users of a selection by id, some at once, in sessions of its own.

    No transaction is open between two batches, so that a slow reader holds nothing.
    """

    def __init__(self, engine: Engine, *, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._engine = engine
        self._rows_at_once = rows_at_once

    def read(self, windows: OpenWindows, selection: Selection) -> Iterator[tuple[UserBudgets, ...]]:
        """The users, the lowest id first; raises `GatewayUnavailable`."""
        users = UserQuery(windows)
        query = users.join(users.select()).where(users.chosen(selection)).order_by(User.id)
        last_id = 0
        while True:
            with sql.transaction(self._engine) as session:
                rows = session.execute(query.where(User.id > last_id).limit(self._rows_at_once))
                batch = tuple(users.read(row) for row in rows)
            if not batch:
                return
            last_id = batch[-1].user_id
            yield batch
