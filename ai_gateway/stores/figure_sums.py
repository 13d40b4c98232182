"""Sums of the ledger for `/metrics`; opens its own short sessions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, literal, or_, select

from ai_gateway.domain.limits import INSTALLATION_ID, Budget, BudgetState, Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import BudgetUse, OpenWindow
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores.budget_columns import BudgetColumns
from ai_gateway.stores.outbox_tables import SetAsideEntry
from ai_gateway.stores.rollup_tables import ModelDay, UsageHour
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import AccountTotal, User, VirtualKey


@dataclass(frozen=True, slots=True)
class Spender:
    """What somebody spent and did in a window; `user_id` is None for everybody together."""

    user_id: int | None
    cost: Money
    requests: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Spenders:
    """Those who spent most, the sum of all, and how many made a call."""

    top: tuple[Spender, ...]
    everybody: Spender
    active: int


class FigureSums:
    """Reads of accounts, limits and roll-ups, none of which grows with the number of calls."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def set_aside(self) -> int:
        """How many entries could not be booked; none ever goes away."""
        with transaction(self._engine) as session:
            return session.scalar(select(func.count()).select_from(SetAsideEntry)) or 0

    def states(self, budget: Budget, window: OpenWindow) -> dict[BudgetState, int]:
        """How many budgets of a kind are in which state; who has no limit has no budget."""
        query, columns = _budgets(budget, window)
        counted = query.with_only_columns(columns.rank, func.count()).group_by(columns.rank)
        states = list(BudgetState)
        found = dict.fromkeys(states, 0)
        with transaction(self._engine) as session:
            for rank, count in session.execute(counted):
                found[states[rank]] = count
        return found

    def nearest(
        self, budget: Budget, window: OpenWindow, count: int
    ) -> tuple[tuple[int, BudgetUse], ...]:
        """The subjects that have spent most of their limit; users who spent nothing are left out.

        Else the list would be full of those whose limit is 0.
        """
        query, columns = _budgets(budget, window)
        has_spent = or_(columns.spent > 0, query.selected_columns.id == INSTALLATION_ID)
        nearest = (
            query.where(has_spent)
            .order_by(columns.percent.desc(), columns.spent.desc())
            .limit(count)
        )
        with transaction(self._engine) as session:
            return tuple((row[0], columns.read(row[1:])) for row in session.execute(nearest))

    def pairs(self, since: datetime, count: int) -> tuple[tuple[str, str, int], ...]:
        """Provider, model and requests of those models with a price that were asked most."""
        requests = func.sum(ModelDay.requests)
        asked = (
            select(ModelDay.provider, ModelDay.model, requests)
            .where(ModelDay.day >= since, ModelDay.requests > ModelDay.unpriced)
            .group_by(ModelDay.provider, ModelDay.model)
            .order_by(requests.desc(), ModelDay.provider, ModelDay.model)
            .limit(count)
        )
        with transaction(self._engine) as session:
            return tuple(
                (name, model, int(number)) for name, model, number in session.execute(asked)
            )

    def spenders(self, window_id: str, start: datetime, count: int) -> Spenders:
        """Who spent most in the window of this name, which began at `start`."""
        accounts = (
            # Were it an equality, SQLite would go through all windows that there ever were.
            AccountTotal.scope.between(Scope.USER, Scope.USER),
            AccountTotal.window_id == window_id,
            AccountTotal.requests > 0,
        )
        top = (
            select(AccountTotal.subject_id, AccountTotal.cost_nano_usd, AccountTotal.requests)
            .where(*accounts)
            .order_by(AccountTotal.cost_nano_usd.desc(), AccountTotal.subject_id)
            .limit(count)
        )
        total = select(
            func.coalesce(func.sum(ModelDay.cost_nano_usd), 0),
            func.coalesce(func.sum(ModelDay.requests), 0),
            func.coalesce(func.sum(ModelDay.input_tokens + ModelDay.output_tokens), 0),
        ).where(ModelDay.day >= start)
        with transaction(self._engine) as session:
            active = session.scalar(select(func.count()).where(*accounts)) or 0
            dearest = session.execute(top).all()
            cost, requests, tokens = session.execute(total).one()
            ids = [user_id for user_id, *_ in dearest]
            of_users = select(
                UsageHour.user_id, func.sum(UsageHour.input_tokens + UsageHour.output_tokens)
            ).where(UsageHour.user_id.in_(ids), UsageHour.hour >= start)
            spoken = {
                user_id: int(count)
                for user_id, count in session.execute(of_users.group_by(UsageHour.user_id))
            }
        return Spenders(
            tuple(
                Spender(user_id, Money(spent), number, spoken.get(user_id, 0))
                for user_id, spent, number in dearest
            ),
            # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
            Spender(None, Money(int(cost)), int(requests), int(tokens)),
            active,
        )


def _budgets(budget: Budget, window: OpenWindow) -> tuple[Any, BudgetColumns]:
    subjects = _subjects(budget.scope).subquery()
    columns = BudgetColumns(budget, window, subjects.c.id)
    query = columns.join(select(subjects.c.id, *columns.facts).select_from(subjects))
    return query.where(columns.is_unlimited.is_(False)), columns


def _subjects(scope: Scope) -> Any:
    match scope:
        case Scope.INSTALLATION:
            return select(literal(INSTALLATION_ID).label("id"))
        case Scope.USER:
            return select(User.id)
        case Scope.KEY:
            return select(VirtualKey.id).where(VirtualKey.status == KeyStatus.ACTIVE)
