"""What there is of one user: budgets and their pace, use, keys, the last calls, and changes."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from zoneinfo import ZoneInfo

from ai_gateway.domain.limits import Window, window_end
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import exhausted_at
from ai_gateway.errors import UserNotFound
from ai_gateway.services.budget_view import BudgetView, budget_view
from ai_gateway.services.key_list import KeyList, SomeKeys
from ai_gateway.services.live_budgets import LiveUser
from ai_gateway.services.periods import AskedRange
from ai_gateway.services.spend_list_report import ChosenUsers, SpendListReport
from ai_gateway.services.usage_report import Usage, UsageReports
from ai_gateway.stores.recent_calls import RecentCall, RecentCalls
from ai_gateway.stores.user_directory import KnownUser, UserDirectory
from ai_gateway.stores.user_records import RecordedChange, UserRecords

RECENT_CALLS = 50
RECENT_CHANGES = 20
RECENT_KEYS = 20
ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BudgetCard:
    """One budget with what running calls hold of it.

    `exhausted_at`: when the limit is reached at the pace of the last seven days, if it is in this
    window; None without a limit, without a pace, or when there is enough.
    """

    window: Window
    view: BudgetView
    held: Money
    resets_at: datetime
    exhausted_at: datetime | None = None

    @property
    def remaining(self) -> Money:
        """With what is spent it adds up to the limit, unless more than that is spent."""
        return Money(max(0, self.view.limit.amount - self.view.spent))


@dataclass(frozen=True, slots=True)
class BurnUp:
    """Cost of the month up to each day, today's last; `pace` is that of a day, if there is one."""

    totals: tuple[Money, ...]
    days_in_month: int
    pace: Money | None


@dataclass(frozen=True, slots=True)
class UserDetail:
    """Budgets, use and keys. `user` is None for one who is gone and whose calls are left."""

    user_id: int
    user: KnownUser | None
    now: datetime
    is_live: bool
    budgets: tuple[BudgetCard, ...]
    burn_up: BurnUp
    usage: Usage
    keys: SomeKeys
    recent: tuple[RecentCall, ...]


class UserDetails:
    """Puts it together, for staff and for the user alike."""

    def __init__(self, spend_list: SpendListReport, usage: UsageReports, keys: KeyList) -> None:
        self._spend_list = spend_list
        self._usage = usage
        self._keys = keys
        self._directory = UserDirectory()
        self._records = UserRecords()
        self._calls = RecentCalls()

    def detail(self, user_id: int, asked: AskedRange) -> UserDetail:
        """Raises `UserNotFound` where there is neither user nor call."""
        chosen = self._spend_list.chosen([user_id])
        moment, zone = chosen.moment, chosen.moment.zone
        user = self._directory.find(user_id)
        recent = self._calls.newest(RECENT_CALLS, user_id=user_id)
        if user is None and not recent:
            raise UserNotFound(user_id)
        return UserDetail(
            user_id=user_id,
            user=user,
            now=moment.now,
            is_live=chosen.is_live,
            budgets=_cards(chosen),
            burn_up=self._burn_up(chosen, user_id, zone),
            usage=self._usage.usage(asked, user_id),
            keys=self._keys.of_owner(user_id, RECENT_KEYS),
            recent=recent,
        )

    def changes(self, user_id: int) -> tuple[RecordedChange, ...]:
        """The last lines of the audit about a user or the keys, for staff: they name others."""
        return self._records.changes(user_id, RECENT_CHANGES)

    def _burn_up(self, chosen: ChosenUsers, user_id: int, zone: ZoneInfo) -> BurnUp:
        now, month = chosen.moment.now, chosen.moment.windows.monthly.window_id
        costs = self._records.daily_costs(user_id, month)
        days_so_far = range(1, now.astimezone(zone).day + 1)
        totals = map(Money, accumulate(costs.get(f"{month}-{day:02}", 0) for day in days_so_far))
        pace = chosen.users[0].budgets.activity.trailing.daily_pace if chosen.users else None
        days = (window_end(Window.MONTH, now, zone).astimezone(zone) - ONE_HOUR).day
        return BurnUp(tuple(totals), days, pace)


def _cards(chosen: ChosenUsers) -> tuple[BudgetCard, ...]:
    if not chosen.users:
        return ()
    moment, live = chosen.moment, chosen.users[0]
    return (
        BudgetCard(
            Window.DAY, budget_view(live.budgets.daily), live.held_daily, moment.day_resets_at
        ),
        BudgetCard(
            Window.MONTH,
            budget_view(live.budgets.monthly),
            live.held_monthly,
            moment.month_resets_at,
            _exhausted_at(chosen, live),
        ),
    )


def _exhausted_at(chosen: ChosenUsers, live: LiveUser) -> datetime | None:
    month, activity = live.budgets.monthly, live.budgets.activity
    if not month.limit.is_amount:
        return None
    left = Money(month.limit.amount - month.spent)
    moment = exhausted_at(left, activity.trailing, chosen.moment.now)
    return moment if moment is not None and moment < chosen.moment.month_resets_at else None
