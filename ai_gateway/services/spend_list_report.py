"""The list of users with what they have spent of their budgets: in pages, and whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import BudgetState, Window, window_end, worse
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.numbered_pages import page_count
from ai_gateway.domain.projection import projected_month
from ai_gateway.domain.spend_list import (
    EVERYBODY,
    FilterCounts,
    OpenWindows,
    PageCut,
    Selection,
    SpendSort,
    UserActivity,
    UserBudgets,
)
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.budget_view import BudgetView, BudgetWindows, budget_view
from ai_gateway.services.live_budgets import LiveBudgets, LiveUser
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches

PAGE_SIZES = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class UserSpendRow:
    """One user; the state is the worse of the two budgets."""

    user_id: int
    username: str
    email: str
    is_enabled: bool
    daily: BudgetView
    monthly: BudgetView
    state: BudgetState
    activity: UserActivity

    @property
    def is_refused_below_limit(self) -> bool:
        return self.daily.is_refused_below_limit or self.monthly.is_refused_below_limit


@dataclass(frozen=True, slots=True)
class UserSpendQuery:
    """What is asked of the list of users; a page past the end becomes the last one."""

    selection: Selection = EVERYBODY
    sort: SpendSort = SpendSort.STATE
    is_descending: bool = True
    page: int = 1
    page_size: int = 50


@dataclass(frozen=True, slots=True)
class ListMoment:
    """When the list was made, in which zone, and when the windows of that moment end."""

    now: datetime
    zone: ZoneInfo
    windows: OpenWindows
    day_resets_at: datetime
    month_resets_at: datetime

    def projected(self, row: UserSpendRow) -> Money | None:
        """What the user's month will have cost at this pace; None without enough days."""
        activity = row.activity
        return projected_month(activity.cost_this_month, activity.trailing, self.windows.days_left)


@dataclass(frozen=True, slots=True)
class UserSpendPage:
    """One page of users. `query` is the one that was answered, with a page that exists.

    Not `is_live`: the amounts are those of the database, since the counters cannot be read.
    """

    query: UserSpendQuery
    moment: ListMoment
    rows: tuple[UserSpendRow, ...]
    counts: FilterCounts
    is_live: bool

    @property
    def total(self) -> int:
        return self.counts.of(self.query.selection.chosen)

    @property
    def pages(self) -> int:
        return page_count(self.total, self.query.page_size)

    @property
    def first(self) -> int:
        return (self.query.page - 1) * self.query.page_size + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1 if self.rows else 0


@dataclass(frozen=True, slots=True)
class SpendBatch:
    """Some rows of the whole list; `is_live` as of a page."""

    rows: tuple[UserSpendRow, ...]
    is_live: bool


@dataclass(frozen=True, slots=True)
class ChosenUsers:
    """Some users and what they have spent and hold now; `is_live` as of a page."""

    moment: ListMoment
    users: tuple[LiveUser, ...]
    is_live: bool


class SpendListReport:
    """Cuts the users into pages, or reads all of them bit by bit."""

    def __init__(
        self,
        store: BudgetUseStore,
        batches: UserBatches,
        *,
        windows: BudgetWindows,
        live: LiveBudgets,
        clock: Clock,
    ) -> None:
        self._store = store
        self._batches = batches
        self._windows = windows
        self._live = live
        self._clock = clock

    def moment(self) -> ListMoment:
        now, zone = self._clock(), self._windows.zone
        return ListMoment(
            now,
            zone,
            self._windows.of_users(now),
            day_resets_at=window_end(Window.DAY, now, zone),
            month_resets_at=window_end(Window.MONTH, now, zone),
        )

    def page(self, query: UserSpendQuery) -> UserSpendPage:
        moment = self.moment()
        selection = query.selection
        counts = self._store.count(moment.windows, selection.search)
        pages = page_count(counts.of(selection.chosen), query.page_size)
        query = replace(query, page=min(max(query.page, 1), pages))
        cut = PageCut(
            sort=query.sort,
            is_descending=query.is_descending,
            offset=(query.page - 1) * query.page_size,
            count=query.page_size,
        )
        found = self._store.page(moment.windows, cut, selection)
        users, is_live = self._live.or_as_known(found, moment.windows)
        return UserSpendPage(query, moment, tuple(map(spend_row, users)), counts, is_live)

    def chosen(self, user_ids: Sequence[int]) -> ChosenUsers:
        """The named users, the lowest id first; those that are gone are left out."""
        moment = self.moment()
        found = self._store.of_users(moment.windows, user_ids)
        users = [found[user_id] for user_id in sorted(found)]
        try:
            return ChosenUsers(moment, self._live.read(users, moment.windows), is_live=True)
        except BudgetUnavailable:
            known = tuple(LiveUser(user, ZERO, ZERO) for user in users)
            return ChosenUsers(moment, known, is_live=False)

    def all(self, moment: ListMoment, selection: Selection) -> Iterator[SpendBatch]:
        """Every user of a selection, by id; raises `GatewayUnavailable` in the middle."""
        for batch in self._batches.read(moment.windows, selection):
            users, is_live = self._live.or_as_known(batch, moment.windows)
            yield SpendBatch(tuple(map(spend_row, users)), is_live)


def spend_row(user: UserBudgets) -> UserSpendRow:
    daily, monthly = budget_view(user.daily), budget_view(user.monthly)
    return UserSpendRow(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        is_enabled=user.is_enabled,
        daily=daily,
        monthly=monthly,
        state=worse(daily.state, monthly.state),
        activity=user.activity,
    )
