"""What rules compare with their thresholds, from accounts, limits and roll-ups."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Engine, and_, cast, func, literal, or_, select

from ai_gateway.domain.alert_conditions import ProviderCalls, SpentBudget, UnpricedModel
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Budget, Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import NO_DAYS, Trailing
from ai_gateway.domain.spend_list import OpenWindow
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores.budget_columns import EXCEEDED, BudgetColumns
from ai_gateway.stores.rollup_tables import ModelDay, ModelHour
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import AccountTotal, User, VirtualKey

MOST_PERCENT = 10**18


class AlertSums:
    """Reads only. Raises `GatewayUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def spent(self, budget: Budget, window: OpenWindow, percent: int) -> tuple[SpentBudget, ...]:
        """The budgets of which so much is spent, or whose last call was refused.

        A limit of 0 is no budget: nobody has to be told that nothing may be spent.
        """
        query, columns = _budgets(budget, window)
        is_used = and_(columns.spent > 0, columns.percent >= percent)
        with transaction(self._engine) as session:
            rows = session.execute(query.where(or_(is_used, columns.rank == EXCEEDED))).all()
        return tuple(_spent(budget, window, columns, row) for row in rows)

    def paces(
        self, budget: Budget, window: OpenWindow, days: Sequence[str]
    ) -> tuple[SpentBudget, ...]:
        """All budgets of which anything is spent, with what the days of these names cost."""
        query, columns = _budgets(budget, window)
        past = _past(budget.scope, days)
        query = query.outerjoin(past, past.c.subject_id == query.selected_columns.id)
        query = query.where(columns.spent > 0).add_columns(past.c.cost, past.c.active_days)
        with transaction(self._engine) as session:
            rows = session.execute(query).all()
        return tuple(
            _spent(budget, window, columns, row[:-2], _trailing(*row[-2:])) for row in rows
        )

    def unpriced(self, day: datetime) -> tuple[UnpricedModel, ...]:
        """The models without a price that were called on the local day that began so."""
        query = select(ModelDay.provider, ModelDay.model, ModelDay.unpriced).where(
            ModelDay.day == day, ModelDay.unpriced > 0
        )
        with transaction(self._engine) as session:
            return tuple(UnpricedModel(*row) for row in session.execute(query))

    def calls(self, since: datetime) -> tuple[ProviderCalls, ...]:
        """How many calls each provider got in the hours that began since then."""
        query = (
            select(ModelHour.provider, func.sum(ModelHour.requests), func.sum(ModelHour.failures))
            .where(ModelHour.hour >= since)
            .group_by(ModelHour.provider)
        )
        with transaction(self._engine) as session:
            return tuple(
                # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
                ProviderCalls(provider, int(requests), int(failures))
                for provider, requests, failures in session.execute(query)
            )


def _budgets(budget: Budget, window: OpenWindow) -> tuple[Any, BudgetColumns]:
    subjects = _subjects(budget.scope).subquery()
    columns = BudgetColumns(budget, window, subjects.c.id)
    named = select(subjects.c.id, subjects.c.name, *columns.facts).select_from(subjects)
    # Neither a budget without a limit nor one with a limit of 0 has a percent.
    return columns.join(named).where(columns.percent.between(0, MOST_PERCENT)), columns


def _subjects(scope: Scope) -> Any:
    match scope:
        case Scope.INSTALLATION:
            return select(literal(INSTALLATION_ID).label("id"), literal("").label("name"))
        case Scope.USER:
            return select(User.id, User.username.label("name"))
        case Scope.KEY:
            name = literal("agw_") + VirtualKey.key_id + " of " + User.username
            active = VirtualKey.status == KeyStatus.ACTIVE
            return select(VirtualKey.id, name.label("name")).join(User).where(active)


def _past(scope: Scope, days: Sequence[str]) -> Any:
    cost = cast(func.sum(AccountTotal.cost_nano_usd), BigInteger)
    active = func.count(func.nullif(AccountTotal.requests, 0))
    return (
        select(AccountTotal.subject_id, cost.label("cost"), active.label("active_days"))
        # Were it an equality, SQLite would go through all windows that there ever were.
        .where(AccountTotal.scope.between(scope, scope), AccountTotal.window_id.in_(days))
        .group_by(AccountTotal.subject_id)
        .subquery()
    )


def _spent(
    budget: Budget,
    window: OpenWindow,
    columns: BudgetColumns,
    row: Sequence[Any],
    trailing: Trailing = NO_DAYS,
) -> SpentBudget:
    subject_id, name, *facts = row
    account = Account(budget.scope, subject_id, budget.window, window.window_id)
    return SpentBudget(account, name, columns.read(facts), trailing)


def _trailing(cost: int | None, active_days: int | None) -> Trailing:
    # No row makes no sum.
    return Trailing(Money(cost or 0), active_days or 0)
