"""The users with their budgets as a list: what is known of each, and how it is cut and ordered."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ai_gateway.domain.limits import Limit
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.projection import NO_DAYS, Trailing


class SpendFilter(StrEnum):
    """`warning` shows those that are exceeded too; `no_limit` those without any limit at all."""

    ALL = "all"
    WARNING = "warning"
    EXCEEDED = "exceeded"
    NO_LIMIT = "no_limit"


class SpendSort(StrEnum):
    """The columns that the users can be sorted by."""

    USER = "user"
    EMAIL = "email"
    REQUESTS_TODAY = "requests_today"
    COST_TODAY = "cost_today"
    DAILY_SPEND = "daily_spend"
    DAILY_USED = "daily_used"
    COST_MONTH = "cost_month"
    MONTHLY_SPEND = "monthly_spend"
    MONTHLY_USED = "monthly_used"
    PROJECTED = "projected"
    STATE = "state"
    LAST_ACTIVE = "last_active"


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """The window that is open now, and the limit of everybody for whom staff set none."""

    window_id: str
    default: Limit


@dataclass(frozen=True, slots=True)
class OpenWindows:
    """Both windows of a user.

    For projections: the first of the last full days, and how many days of this month are left.
    """

    daily: OpenWindow
    monthly: OpenWindow
    trailing_since: str
    days_left: int


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """What is known of one account and its limit. `is_refused`: the last decision was a refusal."""

    spent: Money
    limit: Limit
    is_refused: bool


@dataclass(frozen=True, slots=True)
class UserActivity:
    """What the ledger says of a user; resets change none of it.

    `last_active_at` is exact within this month, and the hour of the last request before it.
    `trailing` are the last full days.
    """

    requests_today: int = 0
    cost_today: Money = ZERO
    cost_this_month: Money = ZERO
    last_active_at: datetime | None = None
    trailing: Trailing = NO_DAYS


@dataclass(frozen=True, slots=True)
class UserBudgets:
    """One user with both budgets."""

    user_id: int
    username: str
    email: str
    is_enabled: bool
    daily: BudgetUse
    monthly: BudgetUse
    activity: UserActivity


@dataclass(frozen=True, slots=True)
class FilterCounts:
    """How many users each filter shows."""

    everyone: int
    warning: int
    exceeded: int
    unlimited: int

    def of(self, chosen: SpendFilter) -> int:
        return {
            SpendFilter.ALL: self.everyone,
            SpendFilter.WARNING: self.warning,
            SpendFilter.EXCEEDED: self.exceeded,
            SpendFilter.NO_LIMIT: self.unlimited,
        }[chosen]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which users of the list are meant."""

    chosen: SpendFilter = SpendFilter.ALL
    search: str = ""


EVERYBODY = Selection()


@dataclass(frozen=True, slots=True)
class PageCut:
    """Which rows of the sorted list are wanted."""

    sort: SpendSort
    is_descending: bool
    offset: int
    count: int
