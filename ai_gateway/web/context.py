"""How a view reaches the services: one frozen object, put on the application by the factory."""

from dataclasses import dataclass
from typing import cast
from zoneinfo import ZoneInfo

from flask import current_app

from ai_gateway.domain.clock import Clock
from ai_gateway.services.free_calls import FreeCalls
from ai_gateway.services.health import Health
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.proxy import Proxy
from ai_gateway.services.reports import Reports
from ai_gateway.services.sign_in import SignIn
from ai_gateway.web.scrape_rule import ScrapeRule

EXTENSION = "ai_gateway"


@dataclass(frozen=True, slots=True)
class Services:
    """Every use case that HTTP may call, and the few facts that pages show."""

    proxy: Proxy
    free_calls: FreeCalls
    reports: Reports
    sign_in: SignIn
    key_holder: KeyHolder
    key_admin: KeyAdmin
    health: Health
    scrape_rule: ScrapeRule
    clock: Clock
    zone: ZoneInfo
    is_simulated: bool
    is_demo: bool


def services() -> Services:
    return cast(Services, current_app.extensions[EXTENSION])
