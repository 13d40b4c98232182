"""How a view reaches the services: one frozen object, put on the application by the factory."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from flask import current_app

from ai_gateway.domain.clock import Clock
from ai_gateway.services.alert_admin import AlertAdmin
from ai_gateway.services.analytics import Analytics
from ai_gateway.services.api_callers import ApiCallers
from ai_gateway.services.audit import Audit
from ai_gateway.services.audit_report import AuditReport
from ai_gateway.services.budgets import Budgets
from ai_gateway.services.checklist import Checklist
from ai_gateway.services.free_calls import FreeCalls
from ai_gateway.services.health import Health
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.key_list import KeyList
from ai_gateway.services.own_page import OwnPages
from ai_gateway.services.own_password import OwnPassword
from ai_gateway.services.parts_health import PartsHealthReport
from ai_gateway.services.prices import Prices
from ai_gateway.services.proxy import Proxy
from ai_gateway.services.reports import Reports
from ai_gateway.services.requests import Requests
from ai_gateway.services.sign_in import SignIn
from ai_gateway.services.spend_list_report import SpendListReport
from ai_gateway.services.spend_reset import SpendReset
from ai_gateway.services.system_report import SystemReports
from ai_gateway.services.task_report import TaskReport
from ai_gateway.services.tracing_health import TracingHealth
from ai_gateway.services.trial_call import TrialCalls
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.services.user_admin import UserAdmin
from ai_gateway.services.user_detail import UserDetails
from ai_gateway.services.user_walk import UserWalk
from ai_gateway.web.client_address import ClientAddresses
from ai_gateway.web.scrape_rule import ScrapeRule

EXTENSION = "ai_gateway"


@dataclass(frozen=True, slots=True)
class Instance:
    """What serves: since when, with how many workers on its host, and on what kind of database."""

    started_at: datetime
    workers: int
    database: str


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case that HTTP may call, and the few facts that pages show."""

    proxy: Proxy
    free_calls: FreeCalls
    reports: Reports
    usage: UsageReports
    spend_list: SpendListReport
    user_walk: UserWalk
    user_details: UserDetails
    spend_reset: SpendReset
    sign_in: SignIn
    own_password: OwnPassword
    own_pages: OwnPages
    user_admin: UserAdmin
    budgets: Budgets
    key_holder: KeyHolder
    key_admin: KeyAdmin
    key_list: KeyList
    analytics: Analytics
    api_callers: ApiCallers
    audit_report: AuditReport
    requests: Requests
    tracing_health: Callable[[], TracingHealth]
    health: Health
    system: SystemReports
    parts_health: PartsHealthReport
    tasks: TaskReport
    prices: Prices
    scrape_rule: ScrapeRule
    audit: Audit
    alerts: AlertAdmin
    checklist: Checklist
    trial_calls: TrialCalls
    client_addresses: ClientAddresses
    clock: Clock
    zone: ZoneInfo
    instance: Instance
    cors_origins: frozenset[str]
    is_simulated: bool
    is_demo: bool


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])
