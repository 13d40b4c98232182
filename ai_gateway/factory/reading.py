"""The services that read figures: for the pages, and for programs."""

from collections.abc import Callable
from dataclasses import dataclass

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.factory.from_settings import default_limits
from ai_gateway.services.analytics import Analytics, AnalyticsParts
from ai_gateway.services.api_callers import ApiCallers
from ai_gateway.services.audit_report import AuditReport
from ai_gateway.services.budget_view import BudgetWindows
from ai_gateway.services.explanation import Explanations
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.key_list import KeyList
from ai_gateway.services.live_budgets import LiveBudgets
from ai_gateway.services.live_keys import LiveKeys
from ai_gateway.services.own_page import OwnPages
from ai_gateway.services.parts_health import PartsHealthReport
from ai_gateway.services.reports import Reports
from ai_gateway.services.request_list import RequestList
from ai_gateway.services.requests import Requests
from ai_gateway.services.spend_list_report import SpendListReport
from ai_gateway.services.system_report import SystemReports
from ai_gateway.services.task_report import TaskReport
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.services.user_detail import UserDetails
from ai_gateway.services.user_walk import UserWalk
from ai_gateway.settings import Settings
from ai_gateway.stores.audit_log import AuditLog
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches
from ai_gateway.stores.key_rows import KeyRows
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.own_refusals import OwnRefusals
from ai_gateway.stores.recent_calls import RecentCalls
from ai_gateway.stores.redis_facts import RedisProbe
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.system_sums import SystemSums
from ai_gateway.stores.tables import db
from ai_gateway.stores.tasks import TaskTable
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
    tasks: TaskReport
    key_list: KeyList
    audit_report: AuditReport
    requests: Requests
    own_pages: OwnPages


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
    counters = LiveCounters(client)
    live = LiveBudgets(counters)
    usage = UsageReports(UsageSumsStore(), TopUsers(), clock=clock, zone=zone)
    directory = UserDirectory()
    spend_list = SpendListReport(
        BudgetUseStore(), UserBatches(db.engine), windows=windows, live=live, clock=clock
    )
    key_list = KeyList(KeyRows(db.engine), LiveKeys(counters), windows=windows, clock=clock)
    details = UserDetails(spend_list, usage, key_list)
    return Reading(
        reports=Reports(ReportingStore(), usage, clock=clock, zone=zone, defaults=defaults),
        usage=usage,
        spend_list=spend_list,
        user_details=details,
        own_pages=OwnPages(details, OwnRefusals(db.engine)),
        user_walk=UserWalk(UserPages(), spend_list, live),
        analytics=Analytics(AnalyticsParts(usage, holder, directory, RecentCalls()), zone),
        api_callers=ApiCallers(holder, directory),
        system=SystemReports(usage, SystemSums(), zone),
        parts_health=PartsHealthReport(
            RedisProbe(client), SystemSums(), price_book=price_book, clock=clock, zone=zone
        ),
        key_list=key_list,
        audit_report=AuditReport(AuditLog(db.engine), clock=clock, zone=zone),
        requests=Requests(
            RequestList(usage, clock=clock, zone=zone), Explanations(price_book, clock, zone)
        ),
        tasks=TaskReport(TaskTable(db.engine), clock),
    )
