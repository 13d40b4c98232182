"""Users or keys with the limits in force, and whether these are their own: in pages, by SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, exists, func, literal, or_, select, true

from ai_gateway.domain.limit_choices import LimitSubject
from ai_gateway.domain.limits import Budget, Scope, Window
from ai_gateway.domain.spend_list import BudgetUse, OpenWindow
from ai_gateway.domain.virtual_key import KeyStatus, key_id_of
from ai_gateway.stores.budget_columns import BudgetColumns
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import SpendLimit, User, VirtualKey


@dataclass(frozen=True, slots=True)
class LimitSelection:
    """Which users or keys: those of a search, or of them only those with a limit of their own."""

    scope: Scope
    search: str = ""
    is_own_only: bool = False


@dataclass(frozen=True, slots=True)
class LimitWindows:
    """The windows that are open now."""

    daily: OpenWindow
    monthly: OpenWindow


@dataclass(frozen=True, slots=True)
class LimitedSubject:
    """A user or a key with both budgets. `name` is a user's, for a key its owner's.

    `detail` is the mail address of a user, the label of a key.
    """

    subject: LimitSubject
    name: str
    detail: str
    key_id: str
    daily: BudgetUse
    monthly: BudgetUse
    has_own_daily: bool
    has_own_monthly: bool


class LimitRows:
    """Reads in short transactions of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count(self, selection: LimitSelection) -> tuple[int, int]:
        """How many there are of the search, and how many of them have a limit of their own."""
        of_search = _of(selection.scope, func.count()).where(_matches(selection))
        with transaction(self._engine) as session:
            everyone = session.scalar(of_search) or 0
            own = session.scalar(of_search.where(_has_own(selection.scope))) or 0
        return everyone, own

    def page(
        self, selection: LimitSelection, windows: LimitWindows, *, offset: int, count: int
    ) -> tuple[LimitedSubject, ...]:
        """Some rows by the name of the user; those of one user go by the time they were made."""
        scope, subject = selection.scope, _subject(selection.scope)
        day = BudgetColumns(Budget(scope, Window.DAY), windows.daily, subject)
        month = BudgetColumns(Budget(scope, Window.MONTH), windows.monthly, subject)
        facts = (*day.facts, *month.facts, day.own_kind, month.own_kind)
        query = month.join(day.join(_of(scope, *_named(scope), *facts))).where(_matches(selection))
        if selection.is_own_only:
            query = query.where(_has_own(scope))
        query = query.order_by(func.lower(User.username), subject).offset(offset).limit(count)
        with transaction(self._engine) as session:
            return tuple(_read(scope, row, day, month) for row in session.execute(query))


def _of(scope: Scope, *columns: Any) -> Select[*tuple[Any, ...]]:
    if scope is Scope.USER:
        return select(*columns).select_from(User)
    is_active = VirtualKey.status == KeyStatus.ACTIVE.value
    return select(*columns).select_from(VirtualKey).join(User).where(is_active)


def _subject(scope: Scope) -> ColumnElement[int]:
    table = User if scope is Scope.USER else VirtualKey
    return table.__table__.c.id


def _named(scope: Scope) -> tuple[Any, ...]:
    if scope is Scope.USER:
        return User.id, User.username, User.email, literal("")
    return VirtualKey.id, User.username, VirtualKey.label, VirtualKey.key_id


def _has_own(scope: Scope) -> ColumnElement[bool]:
    return exists().where(SpendLimit.scope == scope, SpendLimit.subject_id == _subject(scope))


def _matches(selection: LimitSelection) -> ColumnElement[bool]:
    search = selection.search
    if not search:
        return true()
    texts: list[Any] = [User.username, User.email]
    conditions = [text.icontains(search, autoescape=True) for text in texts]
    if selection.scope is Scope.KEY:
        conditions += [
            VirtualKey.label.icontains(search, autoescape=True),
            VirtualKey.key_id.startswith(key_id_of(search), autoescape=True),
        ]
    return or_(*conditions)


def _read(
    scope: Scope, row: Sequence[Any], day: BudgetColumns, month: BudgetColumns
) -> LimitedSubject:
    number, name, detail, key_id, *facts = row
    return LimitedSubject(
        LimitSubject(scope, number),
        name,
        detail,
        key_id,
        day.read(facts[:4]),
        month.read(facts[4:8]),
        has_own_daily=facts[8] is not None,
        has_own_monthly=facts[9] is not None,
    )
