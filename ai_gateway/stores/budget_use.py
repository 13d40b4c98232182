"""How much of their budgets the users have spent, filtered, sorted and cut into pages by SQL.

The state that SQL computes is the one of `domain.limits.state_of`; a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.orm import aliased

from ai_gateway.domain.limits import (
    INSTALLATION_ID,
    WARNING_PERCENT,
    Budget,
    Limit,
    LimitKind,
    Scope,
    Window,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import SpendFilter, SpendSort
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import AccountTotal, SpendLimit, User, db

Rows = Select[*tuple[Any, ...]]

_OK, _WARNING, _EXCEEDED = range(3)
"""The states as numbers that grow with the trouble, so that the worse of two is the larger."""

_UNLIMITED, _BLOCKED = -1, 2**62
"""Where "no limit" and a limit of 0 stand among the percents when a page is sorted by them."""


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """The window that is open now, and the limit of everybody for whom staff set none."""

    window_id: str
    default: Limit


@dataclass(frozen=True, slots=True)
class OpenWindows:
    """Both windows of a user."""

    daily: OpenWindow
    monthly: OpenWindow


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What is known of one account and its limit. `is_refused`: the last decision was a refusal."""

    spent: Money
    limit: Limit
    is_refused: bool


@dataclass(frozen=True, slots=True)
class UserBudgets:
    """One user with both budgets."""

    user_id: int
    username: str
    email: str
    is_enabled: bool
    daily: BudgetUse
    monthly: BudgetUse


@dataclass(frozen=True, slots=True)
class FilterCounts:
    """How many users each filter shows."""

    everyone: int
    warning: int
    exceeded: int


@dataclass(frozen=True, slots=True)
class PageCut:
    """Which rows of the sorted list are wanted."""

    sort: SpendSort
    is_descending: bool
    offset: int
    count: int


class BudgetUseStore:
    """Reads of the accounts and limits of the windows that are open."""

    @translated_errors()
    def installation(self, window: OpenWindow) -> BudgetUse:
        """The month of the whole installation."""
        anchor = select(literal(INSTALLATION_ID).label("id")).subquery()
        month = _Columns(Budget(Scope.INSTALLATION, Window.MONTH), window, anchor.c.id)
        row = db.session.execute(month.join(select(*month.facts).select_from(anchor))).one()
        return month.read(row)

    @translated_errors()
    def count(self, windows: OpenWindows, search: str = "") -> FilterCounts:
        users = _UserQuery(windows)
        query = select(
            func.count(User.id),
            func.coalesce(func.sum(case((users.rank >= _WARNING, 1), else_=0)), 0),
            func.coalesce(func.sum(case((users.rank == _EXCEEDED, 1), else_=0)), 0),
        )
        row = db.session.execute(users.join(query).where(_matches(search))).one()
        return FilterCounts(*(int(number) for number in row))

    @translated_errors()
    def page(
        self, windows: OpenWindows, cut: PageCut, *, chosen: SpendFilter, search: str = ""
    ) -> tuple[UserBudgets, ...]:
        users = _UserQuery(windows)
        least = {
            SpendFilter.ALL: _OK,
            SpendFilter.WARNING: _WARNING,
            SpendFilter.EXCEEDED: _EXCEEDED,
        }
        order = [
            column.desc() if cut.is_descending else column.asc()
            for column in users.sort_columns(cut.sort)
        ]
        query = (
            users.join(users.select())
            .where(_matches(search), users.rank >= least[chosen])
            .order_by(*order, User.id)
            .offset(cut.offset)
            .limit(cut.count)
        )
        return tuple(users.read(row) for row in db.session.execute(query))

    @translated_errors()
    def of_users(self, windows: OpenWindows, user_ids: Sequence[int]) -> dict[int, UserBudgets]:
        """The budgets of the named users; those that are gone are left out."""
        users = _UserQuery(windows)
        query = users.join(users.select()).where(User.id.in_(user_ids))
        found = (users.read(row) for row in db.session.execute(query))
        return {budgets.user_id: budgets for budgets in found}


def _matches(search: str) -> ColumnElement[bool]:
    return or_(
        User.username.icontains(search, autoescape=True),
        User.email.icontains(search, autoescape=True),
    )


class _Columns:
    """One budget of the subject of a row: its account, its limit, and what follows from both."""

    def __init__(self, budget: Budget, window: OpenWindow, subject: ColumnElement[int]) -> None:
        self._default = window.default
        account, own = aliased(AccountTotal), aliased(SpendLimit)
        self._joins = (
            (
                account,
                and_(
                    account.scope == budget.scope,
                    account.subject_id == subject,
                    account.window_id == window.window_id,
                ),
            ),
            (
                own,
                and_(
                    own.scope == budget.scope,
                    own.subject_id == subject,
                    own.window == budget.window,
                ),
            ),
        )
        self.spent = func.coalesce(account.spent_nano_usd, 0)
        is_refused = func.coalesce(account.is_refused, false())
        self.facts = (self.spent, is_refused, own.kind, own.amount_nano_usd)
        default = literal(window.default.amount, BigInteger)
        limit = case(
            (own.kind == LimitKind.AMOUNT, own.amount_nano_usd),
            (own.kind == LimitKind.NONE, null()),
            else_=default if window.default.is_amount else null(),
        )
        self.rank = case(
            (limit.is_(None), _OK),
            (or_(is_refused, self.spent >= limit), _EXCEEDED),
            (self.spent * 100 >= limit * WARNING_PERCENT, _WARNING),
            else_=_OK,
        )
        self.percent = case(
            (limit.is_(None), _UNLIMITED),
            (limit == 0, _BLOCKED),
            else_=self.spent * 100 // func.nullif(limit, 0),
        )

    def join(self, query: Rows) -> Rows:
        for table, condition in self._joins:
            query = query.outerjoin(table, condition)
        return query

    def read(self, facts: Sequence[Any]) -> BudgetUse:
        spent, is_refused, kind, amount = facts
        limit = self._default if kind is None else Limit(LimitKind(kind), Money(amount))
        return BudgetUse(Money(spent), limit, bool(is_refused))


class _UserQuery:
    """The users with both budgets; the rank of a row is the worse of its two."""

    def __init__(self, windows: OpenWindows) -> None:
        subject = User.__table__.c.id
        self._day = _Columns(Budget(Scope.USER, Window.DAY), windows.daily, subject)
        self._month = _Columns(Budget(Scope.USER, Window.MONTH), windows.monthly, subject)
        self.rank = case(
            (self._day.rank >= self._month.rank, self._day.rank), else_=self._month.rank
        )

    def select(self) -> Rows:
        known = (User.id, User.username, User.email, User.is_enabled)
        return select(*known, *self._day.facts, *self._month.facts)

    def join(self, query: Rows) -> Rows:
        return self._month.join(self._day.join(query.select_from(User)))

    def sort_columns(self, sort: SpendSort) -> tuple[ColumnElement[Any], ...]:
        columns: dict[SpendSort, tuple[ColumnElement[Any], ...]] = {
            SpendSort.USER: (func.lower(User.username),),
            SpendSort.EMAIL: (func.lower(User.email),),
            SpendSort.DAILY_SPEND: (self._day.spent,),
            SpendSort.DAILY_USED: (self._day.percent,),
            SpendSort.MONTHLY_SPEND: (self._month.spent,),
            SpendSort.MONTHLY_USED: (self._month.percent,),
            SpendSort.STATE: (self.rank, self._month.spent),
        }
        return columns[sort]

    def read(self, row: Sequence[Any]) -> UserBudgets:
        user_id, username, email, is_enabled, *facts = row
        return UserBudgets(
            user_id=user_id,
            username=username,
            email=email,
            is_enabled=is_enabled,
            daily=self._day.read(facts[:4]),
            monthly=self._month.read(facts[4:]),
        )
