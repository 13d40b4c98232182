"""Accounts as the ledger has them, and whom another default limit would concern."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, case, exists, func, literal, select, tuple_
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Account, Budget, Limit, Scope
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.stores.meter import Counters
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import AccountTotal, SpendLimit, User


@dataclass(frozen=True, slots=True)
class Impact:
    """The users who inherit a limit, and how many of them are over it before and after a change."""

    inheriting: int
    over_before: int
    over_after: int


class BudgetAccounts:
    """Reads only; what is spent follows the counters within about a second."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, accounts: Sequence[Account]) -> Mapping[Account, Counters]:
        """The accounts without their holds, which only Redis knows."""
        with transaction(self._engine) as session:
            found = {
                (row.scope, row.subject_id, row.window_id): row for row in _rows(session, accounts)
            }
        nothing = Counters(ZERO, ZERO, is_refused=False)
        return {
            account: _counters(row)
            if (row := found.get((account.scope, account.subject_id, account.window_id)))
            else nothing
            for account in accounts
        }

    def impact(self, budget: Budget, window_id: str, *, before: Limit, after: Limit) -> Impact:
        """Of the users' default for a budget."""
        has_own = exists().where(
            SpendLimit.scope == Scope.USER,
            SpendLimit.subject_id == User.id,
            SpendLimit.window == budget.window,
        )
        account = and_(
            AccountTotal.scope == Scope.USER,
            AccountTotal.subject_id == User.id,
            AccountTotal.window_id == window_id,
        )
        query = (
            select(func.count(User.id), _how_many_over(before), _how_many_over(after))
            .outerjoin(AccountTotal, account)
            .where(~has_own)
        )
        with transaction(self._engine) as session:
            return Impact(*(int(number) for number in session.execute(query).one()))


def _how_many_over(limit: Limit) -> ColumnElement[Any]:
    if not limit.is_amount:
        return literal(0)
    spent = func.coalesce(AccountTotal.spent_nano_usd, 0)
    return func.coalesce(func.sum(case((spent >= limit.amount, 1), else_=0)), 0)


def _rows(session: Session, accounts: Sequence[Account]) -> list[AccountTotal]:
    names = [(a.scope.value, a.subject_id, a.window_id) for a in accounts]
    key = tuple_(AccountTotal.scope, AccountTotal.subject_id, AccountTotal.window_id)
    return list(session.scalars(select(AccountTotal).where(key.in_(names))))


def _counters(row: AccountTotal) -> Counters:
    return Counters(Money(row.spent_nano_usd), ZERO, row.is_refused)
