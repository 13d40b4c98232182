"""The limits that staff set, in a session that somebody else commits."""

from collections.abc import Iterable

from sqlalchemy import and_, false, or_, select
from sqlalchemy.orm import Session

from ai_gateway.domain.limits import Budget, Limit, LimitKind, Scope
from ai_gateway.domain.money import Money
from ai_gateway.stores.tables import SpendLimit

Chosen = dict[tuple[str, int, str], Limit]
"""Limits by scope, subject and window."""


def chosen_limits(session: Session, subjects: Iterable[tuple[Scope, int]] | None = None) -> Chosen:
    """The limits that staff set for these subjects; without any named, for all that there are."""
    query = select(
        SpendLimit.scope,
        SpendLimit.subject_id,
        SpendLimit.window,
        SpendLimit.kind,
        SpendLimit.amount_nano_usd,
    )
    if subjects is not None:
        numbers: dict[Scope, set[int]] = {}
        for scope, number in subjects:
            numbers.setdefault(scope, set()).add(number)
        theirs = (
            and_(SpendLimit.scope == scope, SpendLimit.subject_id.in_(sorted(those)))
            for scope, those in numbers.items()
        )
        query = query.where(or_(false(), *theirs))
    return {
        (scope, subject_id, window): Limit(LimitKind(kind), Money(amount))
        for scope, subject_id, window, kind, amount in session.execute(query)
    }


def set_limit(session: Session, subject_id: int, budget: Budget, limit: Limit | None) -> None:
    """Set a limit of one user or key; None takes the choice back, so that it inherits."""
    row = session.scalar(
        select(SpendLimit).where(
            SpendLimit.scope == budget.scope,
            SpendLimit.subject_id == subject_id,
            SpendLimit.window == budget.window,
        )
    )
    if limit is None:
        if row is not None:
            session.delete(row)
        return
    if row is None:
        row = SpendLimit(scope=budget.scope, subject_id=subject_id, window=budget.window)
        session.add(row)
    row.kind, row.amount_nano_usd = limit.kind.value, limit.amount
