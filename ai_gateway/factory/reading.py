"""The services that read figures: for the pages, and for programs."""

from collections.abc import Callable
from dataclasses import dataclass

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.factory.from_settings import default_limits
from ai_gateway.services.analytics import Analytics, AnalyticsParts
from ai_gateway.services.api_callers import ApiCallers
from ai_gateway.services.budget_view import BudgetWindows
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.live_budgets import LiveBudgets
from ai_gateway.services.parts_health import PartsHealthReport
from ai_gateway.services.reports import Reports
from ai_gateway.services.spend_list_report import SpendListReport
from ai_gateway.services.system_report import SystemReports
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.services.user_detail import UserDetails
from ai_gateway.services.user_walk import UserWalk
from ai_gateway.settings import Settings
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.recent_calls import RecentCalls
from ai_gateway.stores.redis_facts import RedisProbe
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.system_sums import SystemSums
from ai_gateway.stores.tables import db
from ai_gateway.stores.top_users import TopUsers
from ai_gateway.stores.usage_sums import UsageSumsStore
from ai_gateway.stores.user_directory import UserDirectory
from ai_gateway.stores.user_pages import UserPages


@dataclass(frozen=True, slots=True)
class Reading:
    """They change nothing."""

    reports: Reports
    usage: UsageReports
    spend_list: SpendListReport
    user_walk: UserWalk
    user_details: UserDetails
    analytics: Analytics
    api_callers: ApiCallers
    system: SystemReports
    parts_health: PartsHealthReport


def reading_services(
    settings: Settings,
    holder: KeyHolder,
    client: redis.Redis,
    price_book: Callable[[], str],
    clock: Clock,
) -> Reading:
    """`holder` answers from the counters; everything else is from SQL."""
    zone = settings.timezone
    defaults = {(b.scope, b.window): limit for b, limit in default_limits(settings).items()}
    windows = BudgetWindows(zone, defaults)
    live = LiveBudgets(LiveCounters(client))
    usage = UsageReports(UsageSumsStore(), TopUsers(), clock=clock, zone=zone)
    directory = UserDirectory()
    spend_list = SpendListReport(
        BudgetUseStore(), UserBatches(db.engine), windows=windows, live=live, clock=clock
    )
    return Reading(
        reports=Reports(ReportingStore(), usage, clock=clock, zone=zone, defaults=defaults),
        usage=usage,
        spend_list=spend_list,
        user_details=UserDetails(spend_list, usage),
        user_walk=UserWalk(UserPages(), spend_list, live),
        analytics=Analytics(AnalyticsParts(usage, holder, directory, RecentCalls()), zone),
        api_callers=ApiCallers(holder, directory),
        system=SystemReports(usage, SystemSums(), zone),
        parts_health=PartsHealthReport(
            RedisProbe(client), SystemSums(), price_book=price_book, clock=clock, zone=zone
        ),
    )
