"""The SQL of budgets: columns over a user, both accounts and both limits, and what follows.

The state that SQL computes is the one of `domain.limits.state_of`; a test holds the two together.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ai_gateway.domain.limits import (
    EVERYBODY,
    WARNING_PERCENT,
    Budget,
    Limit,
    LimitKind,
    Scope,
    Window,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import LEAST_ACTIVE_DAYS, TRAILING_DAYS, Trailing
from ai_gateway.domain.spend_list import (
    BudgetUse,
    OpenWindow,
    OpenWindows,
    Selection,
    SpendFilter,
    SpendSort,
    UserActivity,
    UserBudgets,
)
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import AccountTotal, SpendLimit, User

Rows = Select[*tuple[Any, ...]]

OK, WARNING, EXCEEDED = range(3)
"""The states as numbers that grow with the trouble, so that the worse of two is the larger."""

_UNLIMITED, _BLOCKED = -1, 2**62
"""Where "no limit" and a limit of 0 stand among the percents when a page is sorted by them."""

_NO_PROJECTION = -1

PAST = aliased(AccountTotal)
"""The accounts of earlier days."""

# PostgreSQL sums bigint as numeric, with which it counts slowly.
_COST = cast(func.sum(PAST.cost_nano_usd), BigInteger)
_ACTIVE_DAYS = func.count(func.nullif(PAST.requests, 0))
PACE = case((_ACTIVE_DAYS >= LEAST_ACTIVE_DAYS, _COST))


class BudgetColumns:
    """One budget of the subject of a row: its account, its limit, and what follows from both.

    A limit of the subject's own stands before the one that staff set for everybody, and that before
    the default of the window, which is the environment's.
    """

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
        self.cost = func.coalesce(account.cost_nano_usd, 0)
        self.requests = func.coalesce(account.requests, 0)
        self.last_request_at = account.last_request_at
        is_refused = func.coalesce(account.is_refused, false())
        self.own_kind = own.kind
        kind = func.coalesce(own.kind, _of_everybody(budget, SpendLimit.kind))
        amount = func.coalesce(
            own.amount_nano_usd, _of_everybody(budget, SpendLimit.amount_nano_usd)
        )
        self.facts = (self.spent, is_refused, kind, amount)
        default = literal(window.default.amount, BigInteger)
        self.limit = limit = case(
            (kind == LimitKind.NONE, null()),
            (kind.is_not(None), amount),
            else_=default if window.default.is_amount else null(),
        )
        self.is_unlimited = limit.is_(None)
        self.rank = case(
            (limit.is_(None), OK),
            (or_(is_refused, self.spent >= limit), EXCEEDED),
            (self.spent * 100 >= limit * WARNING_PERCENT, WARNING),
            else_=OK,
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


def _of_everybody(budget: Budget, column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Of no row in particular, so that a database asks for it once."""
    return (
        select(column)
        .where(
            SpendLimit.scope == budget.scope,
            SpendLimit.subject_id == EVERYBODY,
            SpendLimit.window == budget.window,
        )
        .scalar_subquery()
    )


class UserQuery:
    """The users with both budgets; the rank of a row is the worse of its two."""

    def __init__(self, windows: OpenWindows) -> None:
        subject = User.__table__.c.id
        self._windows = windows
        self._day = BudgetColumns(Budget(Scope.USER, Window.DAY), windows.daily, subject)
        self._month = BudgetColumns(Budget(Scope.USER, Window.MONTH), windows.monthly, subject)
        self.rank = case(
            (self._day.rank >= self._month.rank, self._day.rank), else_=self._month.rank
        )
        self.is_unlimited = and_(self._day.is_unlimited, self._month.is_unlimited)

    def select(self) -> Rows:
        known = (User.id, User.username, User.email, User.is_enabled)
        did = (self._day.requests, self._day.cost, self._month.cost, self._last_active_at())
        trailing = (self._trailing(_COST), self._trailing(_ACTIVE_DAYS))
        return select(*known, *self._day.facts, *self._month.facts, *did, *trailing)

    def join(self, query: Rows) -> Rows:
        return self._month.join(self._day.join(query.select_from(User)))

    def chosen(self, selection: Selection) -> ColumnElement[bool]:
        return and_(_matches(selection.search), self._filter(selection.chosen))

    def order(self, sort: SpendSort, search: str, *, is_descending: bool) -> list[Any]:
        """What begins with the search comes first, and equal values go by id."""
        columns = self.ordered_by(sort, search, is_descending=is_descending)
        return [column.desc() if falls else column.asc() for column, falls in columns]

    def ordered_by(
        self, sort: SpendSort, search: str, *, is_descending: bool
    ) -> list[tuple[ColumnElement[Any], bool]]:
        """The columns of the order, each with whether it falls."""
        first = [(case((_begins(search), 0), else_=1), False)] if search else []
        columns = [(column, is_descending) for column in self._sorted_by(sort)]
        return [*first, *columns, (User.__table__.c.id, False)]

    def read(self, row: Sequence[Any]) -> UserBudgets:
        user_id, username, email, is_enabled, *facts = row
        requests_today, cost_today, cost_this_month, last_active_at, *trailing = facts[8:]
        return UserBudgets(
            user_id=user_id,
            username=username,
            email=email,
            is_enabled=is_enabled,
            daily=self._day.read(facts[:4]),
            monthly=self._month.read(facts[4:8]),
            activity=UserActivity(
                requests_today,
                Money(cost_today),
                Money(cost_this_month),
                last_active_at,
                _read_trailing(*trailing),
            ),
        )

    def _filter(self, chosen: SpendFilter) -> ColumnElement[bool]:
        conditions: dict[SpendFilter, ColumnElement[bool]] = {
            SpendFilter.ALL: true(),
            SpendFilter.WARNING: self.rank >= WARNING,
            SpendFilter.EXCEEDED: self.rank == EXCEEDED,
            SpendFilter.NO_LIMIT: self.is_unlimited,
        }
        return conditions[chosen]

    def _sorted_by(self, sort: SpendSort) -> tuple[ColumnElement[Any], ...]:
        day, month = self._day, self._month
        columns: dict[SpendSort, tuple[ColumnElement[Any], ...]] = {
            SpendSort.USER: (func.lower(User.username),),
            SpendSort.EMAIL: (func.lower(User.email),),
            SpendSort.REQUESTS_TODAY: (day.requests,),
            SpendSort.COST_TODAY: (day.cost,),
            SpendSort.DAILY_SPEND: (day.spent,),
            SpendSort.DAILY_USED: (day.percent,),
            SpendSort.COST_MONTH: (month.cost,),
            SpendSort.MONTHLY_SPEND: (month.spent,),
            SpendSort.MONTHLY_USED: (month.percent,),
            SpendSort.PROJECTED: (self._projected(),),
            SpendSort.STATE: (self.rank, month.spent),
            # The databases do not agree on where NULL stands.
            SpendSort.LAST_ACTIVE: (
                self._last_active_at().is_not(None),
                self._last_active_at(),
            ),
        }
        return columns[sort]

    def _last_active_at(self) -> ColumnElement[Any]:
        earlier = select(func.max(UsageHour.hour)).where(UsageHour.user_id == User.id)
        return func.coalesce(self._month.last_request_at, earlier.scalar_subquery())

    def _projected(self) -> ColumnElement[Any]:
        """As `domain.projection.projected_month`; a test holds the two together."""
        to_come = self.pace() * self._windows.days_left // TRAILING_DAYS
        return func.coalesce(self._month.cost + to_come, _NO_PROJECTION)

    def pace(self) -> ColumnElement[Any]:
        """What a user spent in the last full days; nothing where too few of them were active."""
        return self._trailing(PACE)

    def _trailing(self, sums: ColumnElement[Any]) -> ColumnElement[Any]:
        """A sum over the last full days of the user of a row."""
        query = select(sums).where(*last_days(self._windows), PAST.subject_id == User.id)
        return query.scalar_subquery()


def last_days(windows: OpenWindows) -> tuple[ColumnElement[bool], ...]:
    """The accounts of users for the last full days."""
    return (
        PAST.scope == Scope.USER,
        # One step into the index, where a list of days would be seven.
        PAST.window_id >= windows.trailing_since,
        PAST.window_id < windows.daily.window_id,
        # The one month whose name can lie between those of the days.
        PAST.window_id != windows.monthly.window_id,
    )


def _matches(search: str) -> ColumnElement[bool]:
    if not search:
        return true()
    return or_(
        User.username.icontains(search, autoescape=True),
        User.email.icontains(search, autoescape=True),
    )


def _begins(search: str) -> ColumnElement[bool]:
    return or_(
        User.username.istartswith(search, autoescape=True),
        User.email.istartswith(search, autoescape=True),
    )


def _read_trailing(cost: Any, active_days: Any) -> Trailing:
    # No row makes no sum.
    return Trailing(Money(cost or 0), active_days)
