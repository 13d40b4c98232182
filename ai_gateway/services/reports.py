"""The overview: what was spent and by whom, what the month will cost, and what needs action."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Limit, Scope, Window, window_end, window_id
from ai_gateway.domain.spend_list import FilterCounts, OpenWindows
from ai_gateway.services.budget_view import BudgetView, BudgetWindows, budget_view
from ai_gateway.services.lately import Lately, read_lately
from ai_gateway.services.periods import AskedRange
from ai_gateway.services.spend_list_report import UserSpendRow, spend_row
from ai_gateway.services.system_report import percentile
from ai_gateway.services.usage_report import Dimension, Series, Usage, UsageReports
from ai_gateway.stores.recent_calls import RecentCall
from ai_gateway.stores.recent_refusals import RecentRefusal
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.top_users import UserSums
from ai_gateway.stores.usage_sums import Part, UsageSumsStore

TOP_USERS = 10
RECENT = 20


@dataclass(frozen=True, slots=True)
class Spender:
    """One of the users with the highest cost today; one that is gone has no budgets."""

    user: UserSums
    budgets: UserSpendRow | None


Activity = RecentCall | RecentRefusal


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the overview page. `installation` is the budget of the month.

    `activity` are the last calls and refusals; `refused` is how many requests of the period were,
    and `p95_ms` how long the calls to a provider took, where there were any.
    """

    usage: Usage
    series: Series
    now: datetime
    lately: Lately
    spenders: tuple[Spender, ...]
    activity: tuple[Activity, ...]
    refused: int
    p95_ms: Mapping[str, float | None]
    installation: BudgetView
    month_resets_at: datetime
    counts: FilterCounts

    @property
    def unpriced_models(self) -> int:
        models = (model for row in self.usage.providers for model in row.models)
        return sum(model.sums.unpriced > 0 for model in models)


class Reports:
    """`defaults` are the environment's limits; a budget that is not among them has none."""

    def __init__(
        self,
        store: ReportingStore,
        usage: UsageReports,
        *,
        clock: Clock,
        zone: ZoneInfo,
        defaults: Mapping[tuple[Scope, Window], Limit],
    ) -> None:
        self._store = store
        self._usage = usage
        self._sums = UsageSumsStore()
        self._clock = clock
        self._zone = zone
        self._windows = BudgetWindows(zone, defaults)

    def overview(self, asked: AskedRange, by: Dimension = Dimension.PROVIDER) -> Overview:
        now = self._clock()
        windows = self._windows.of_users(now)
        usage = self._usage.usage(asked)
        period = usage.period
        month = self._store.budgets.installation(self._windows.of_installation(now))
        refusals = self._store.refusals.read(RECENT, period.since, period.end)
        return Overview(
            usage=usage,
            series=self._usage.by_user(usage) if by is Dimension.USER else usage.series(by),
            now=now,
            lately=read_lately(self._sums, now, self._zone),
            spenders=self._spenders(windows, now, TOP_USERS),
            activity=_newest(self._store.calls.newest(RECENT), refusals.newest),
            refused=refusals.in_span,
            p95_ms=self._p95(period.part),
            installation=budget_view(month),
            month_resets_at=window_end(Window.MONTH, now, self._zone),
            counts=self._store.budgets.count(windows),
        )

    def top_spenders(self, count: int) -> tuple[Spender, ...]:
        """The users with the highest cost today."""
        now = self._clock()
        return self._spenders(self._windows.of_users(now), now, count)

    def _p95(self, part: Part) -> dict[str, float | None]:
        durations = self._store.system.durations(part)
        return {provider: percentile(counts, 95) for provider, counts in durations.items()}

    def _spenders(self, windows: OpenWindows, now: datetime, count: int) -> tuple[Spender, ...]:
        top = self._store.top_users.of_day(window_id(Window.DAY, now, self._zone), count)
        found = self._store.budgets.of_users(windows, [user.user_id for user in top])
        rows = {user_id: spend_row(budgets) for user_id, budgets in found.items()}
        return tuple(Spender(user, rows.get(user.user_id)) for user in top)


def _newest(calls: Iterable[RecentCall], refusals: Iterable[RecentRefusal]) -> tuple[Activity, ...]:
    both: list[Iterable[Activity]] = [calls, refusals]
    return tuple(islice(merge(*both, key=_moment, reverse=True), RECENT))


def _moment(one: Activity) -> datetime:
    return one.admitted_at if isinstance(one, RecentCall) else one.at
