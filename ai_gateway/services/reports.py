"""The numbers of the staff pages: what was spent, by whom, and how near the limits are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import (
    NO_LIMIT,
    BudgetState,
    Limit,
    Scope,
    Window,
    state_of,
    window_end,
    window_id,
    window_start,
    worse,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import SpendFilter, SpendSort
from ai_gateway.services.periods import OverviewRange, Period, period_of
from ai_gateway.stores.budget_use import (
    BudgetUse,
    FilterCounts,
    OpenWindow,
    OpenWindows,
    PageCut,
    UserBudgets,
)
from ai_gateway.stores.reporting import (
    ProviderSums,
    RecentCall,
    ReportingStore,
    SetUpFacts,
    UsageSums,
    UserSums,
)

TOP_USERS = 10
RECENT_CALLS = 20
PAGE_SIZES = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One budget as it is shown. `percent` is floored; None where there is no limit."""

    spent: Money
    limit: Limit
    state: BudgetState
    percent: int | None

    @property
    def is_refused_below_limit(self) -> bool:
        """Exceeded by its last refusal alone, which the page has to say."""
        return self.state is BudgetState.EXCEEDED and self.spent < self.limit.amount


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


@dataclass(frozen=True, slots=True)
class Spender:
    """One of the users with the highest cost today; one that is gone has no budgets."""

    user: UserSums
    budgets: UserSpendRow | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the overview page. `installation` is the budget of the month."""

    range: OverviewRange
    period: Period
    zone: ZoneInfo
    current: UsageSums
    previous: UsageSums | None
    providers: tuple[ProviderSums, ...]
    spenders: tuple[Spender, ...]
    recent: tuple[RecentCall, ...]
    installation: BudgetView
    month_resets_at: datetime
    counts: FilterCounts

    @property
    def now(self) -> datetime:
        return self.period.until


@dataclass(frozen=True, slots=True)
class UserSpendQuery:
    """What is asked of the list of users; a page past the end becomes the last one."""

    chosen: SpendFilter = SpendFilter.ALL
    search: str = ""
    sort: SpendSort = SpendSort.STATE
    is_descending: bool = True
    page: int = 1
    page_size: int = 50


@dataclass(frozen=True, slots=True)
class UserSpendPage:
    """One page of users. `query` is the one that was answered, with a page that exists."""

    query: UserSpendQuery
    now: datetime
    zone: ZoneInfo
    rows: tuple[UserSpendRow, ...]
    counts: FilterCounts
    day_resets_at: datetime
    month_resets_at: datetime

    @property
    def total(self) -> int:
        return _count_of(self.query.chosen, self.counts)

    @property
    def pages(self) -> int:
        return _pages(self.total, self.query.page_size)

    @property
    def first(self) -> int:
        return (self.query.page - 1) * self.query.page_size + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1 if self.rows else 0


class Reports:
    """`defaults` are the environment's limits; a budget that is not among them has none."""

    def __init__(
        self,
        store: ReportingStore,
        *,
        clock: Clock,
        zone: ZoneInfo,
        defaults: Mapping[tuple[Scope, Window], Limit],
    ) -> None:
        self._store = store
        self._clock = clock
        self._zone = zone
        self._defaults = dict(defaults)

    def overview(self, chosen: OverviewRange) -> Overview:
        now = self._clock()
        period = period_of(chosen, now, self._zone)
        providers = self._store.sums_by_provider(period.since)
        windows = self._open_windows(now)
        return Overview(
            range=chosen,
            period=period,
            zone=self._zone,
            # Summed from the rows of the table below it, so that the two can never disagree.
            current=_add(providers),
            previous=self._previous(period),
            providers=providers,
            spenders=self._spenders(windows, now),
            recent=self._store.recent_calls(RECENT_CALLS),
            installation=_view(
                self._store.budgets.installation(self._open(Scope.INSTALLATION, Window.MONTH, now))
            ),
            month_resets_at=window_end(Window.MONTH, now, self._zone),
            counts=self._store.budgets.count(windows),
        )

    def user_spend(self, query: UserSpendQuery) -> UserSpendPage:
        now = self._clock()
        windows = self._open_windows(now)
        counts = self._store.budgets.count(windows, query.search)
        pages = _pages(_count_of(query.chosen, counts), query.page_size)
        query = replace(query, page=min(max(query.page, 1), pages))
        cut = PageCut(
            sort=query.sort,
            is_descending=query.is_descending,
            offset=(query.page - 1) * query.page_size,
            count=query.page_size,
        )
        found = self._store.budgets.page(windows, cut, chosen=query.chosen, search=query.search)
        return UserSpendPage(
            query=query,
            now=now,
            zone=self._zone,
            rows=tuple(_row(user) for user in found),
            counts=counts,
            day_resets_at=window_end(Window.DAY, now, self._zone),
            month_resets_at=window_end(Window.MONTH, now, self._zone),
        )

    def set_up(self) -> SetUpFacts:
        return self._store.set_up_facts()

    def _previous(self, period: Period) -> UsageSums | None:
        if period.previous is None:
            return None
        return self._store.sums(period.previous.since, period.previous.until)

    def _spenders(self, windows: OpenWindows, now: datetime) -> tuple[Spender, ...]:
        today = window_start(Window.DAY, now, self._zone)
        top = self._store.top_users(today, TOP_USERS)
        found = self._store.budgets.of_users(windows, [user.user_id for user in top])
        rows = {user_id: _row(budgets) for user_id, budgets in found.items()}
        return tuple(Spender(user, rows.get(user.user_id)) for user in top)

    def _open_windows(self, now: datetime) -> OpenWindows:
        return OpenWindows(
            daily=self._open(Scope.USER, Window.DAY, now),
            monthly=self._open(Scope.USER, Window.MONTH, now),
        )

    def _open(self, scope: Scope, window: Window, now: datetime) -> OpenWindow:
        default = self._defaults.get((scope, window), NO_LIMIT)
        return OpenWindow(window_id(window, now, self._zone), default)


def _add(providers: tuple[ProviderSums, ...]) -> UsageSums:
    total = UsageSums()
    for row in providers:
        total = total.plus(row.sums)
    return total


def _row(user: UserBudgets) -> UserSpendRow:
    daily, monthly = _view(user.daily), _view(user.monthly)
    return UserSpendRow(
        user_id=user.user_id,
        username=user.username,
        email=user.email,
        is_enabled=user.is_enabled,
        daily=daily,
        monthly=monthly,
        state=worse(daily.state, monthly.state),
    )


def _view(use: BudgetUse) -> BudgetView:
    state = state_of(use.spent, use.limit, is_refused=use.is_refused)
    return BudgetView(use.spent, use.limit, state, _percent(use))


def _percent(use: BudgetUse) -> int | None:
    if not use.limit.is_amount:
        return None
    # Nothing may be spent at a limit of 0, so all of it is used up.
    return use.spent * 100 // use.limit.amount if use.limit.amount else 100


def _count_of(chosen: SpendFilter, counts: FilterCounts) -> int:
    return {
        SpendFilter.ALL: counts.everyone,
        SpendFilter.WARNING: counts.warning,
        SpendFilter.EXCEEDED: counts.exceeded,
    }[chosen]


def _pages(total: int, page_size: int) -> int:
    return max(1, -(-total // page_size))
