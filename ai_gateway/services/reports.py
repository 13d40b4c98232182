"""The overview: what was spent and by whom, what the month will cost, and what needs action."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Limit, Scope, Window, window_end, window_id, window_start
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import Trailing, days_left, projected_month, trailing_since
from ai_gateway.domain.spend_list import FilterCounts, OpenWindows
from ai_gateway.services.budget_view import BudgetView, BudgetWindows, budget_view
from ai_gateway.services.periods import AskedRange
from ai_gateway.services.spend_list_report import UserSpendRow, spend_row
from ai_gateway.services.usage_report import Dimension, Series, Usage, UsageReports, added
from ai_gateway.stores.recent_calls import RecentCall
from ai_gateway.stores.reporting import ReportingStore, SetUpFacts
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.top_users import UserSums
from ai_gateway.stores.usage_sums import ModelSumsAt, Part, Step, UsageSumsStore

TOP_USERS = 10
RECENT_CALLS = 20
TROUBLE_RATE = Fraction(1, 10)
TROUBLE_FAILURES = 5
"""A provider is in trouble when so many calls of this hour failed, and so large a part of them."""


@dataclass(frozen=True, slots=True)
class Spender:
    """One of the users with the highest cost today; one that is gone has no budgets."""

    user: UserSums
    budgets: UserSpendRow | None


@dataclass(frozen=True, slots=True)
class ProviderTrouble:
    """A provider of whose calls many failed in this hour."""

    provider: str
    error_rate: Fraction


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the overview page. `installation` is the budget of the month.

    `projected` is what the month will have cost; None while there is no pace to speak of.
    """

    usage: Usage
    series: Series
    now: datetime
    projected: Money | None
    trouble: tuple[ProviderTrouble, ...]
    spenders: tuple[Spender, ...]
    recent: tuple[RecentCall, ...]
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
        month = self._store.budgets.installation(self._windows.of_installation(now))
        return Overview(
            usage=usage,
            series=self._usage.by_user(usage) if by is Dimension.USER else usage.series(by),
            now=now,
            projected=self._projected(now),
            trouble=self._trouble(now),
            spenders=self._spenders(windows, now, TOP_USERS),
            recent=self._store.calls.newest(RECENT_CALLS),
            installation=budget_view(month),
            month_resets_at=window_end(Window.MONTH, now, self._zone),
            counts=self._store.budgets.count(windows),
        )

    def top_spenders(self, count: int) -> tuple[Spender, ...]:
        """The users with the highest cost today."""
        now = self._clock()
        return self._spenders(self._windows.of_users(now), now, count)

    def set_up(self) -> SetUpFacts:
        return self._store.set_up_facts()

    def _projected(self, now: datetime) -> Money | None:
        """From the days of this month and of the last week, which are few rows."""
        today = now.astimezone(self._zone).date()
        month = window_start(Window.MONTH, now, self._zone)
        today_begins = window_start(Window.DAY, now, self._zone)
        week = self._start_of_day(now, (today - trailing_since(today)).days)
        days = self._sums.series(Part(Step.DAY, min(month, week), None))
        trailing = [day for day in days if week <= day.start < today_begins]
        so_far = added(day.sums for day in days if day.start >= month).cost
        return projected_month(so_far, _trailing(trailing), days_left(today))

    def _trouble(self, now: datetime) -> tuple[ProviderTrouble, ...]:
        hour = self._sums.by_model([Part(Step.HOUR, local_hour(now, self._zone), None)])
        found = []
        for provider in sorted({model.provider for model in hour}):
            sums = added(model.sums for model in hour if model.provider == provider)
            rate = sums.error_rate
            if rate is not None and rate >= TROUBLE_RATE and sums.failures >= TROUBLE_FAILURES:
                found.append(ProviderTrouble(provider, rate))
        return tuple(found)

    def _spenders(self, windows: OpenWindows, now: datetime, count: int) -> tuple[Spender, ...]:
        top = self._store.top_users.of_day(window_id(Window.DAY, now, self._zone), count)
        found = self._store.budgets.of_users(windows, [user.user_id for user in top])
        rows = {user_id: spend_row(budgets) for user_id, budgets in found.items()}
        return tuple(Spender(user, rows.get(user.user_id)) for user in top)

    def _start_of_day(self, now: datetime, days_ago: int) -> datetime:
        noon = now.astimezone(self._zone).replace(hour=12) - timedelta(days=days_ago)
        return window_start(Window.DAY, noon, self._zone)


def _trailing(days: list[ModelSumsAt]) -> Trailing:
    active = {day.start for day in days if day.sums.requests}
    return Trailing(added(day.sums for day in days).cost, len(active))
