"""The staff site: the ordered list of its pages, and what all of them share."""

import hashlib
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, request, url_for
from flask_admin.base import Admin
from flask_admin.theme import Bootstrap4Theme

from ai_gateway.web import formatting
from ai_gateway.web.admin import account, login
from ai_gateway.web.admin.alert_acts import AlertRuleView, AlertTestView
from ai_gateway.web.admin.alerts import AlertsView
from ai_gateway.web.admin.audit import AuditView
from ai_gateway.web.admin.budgets import BudgetsView
from ai_gateway.web.admin.conditions import counters_down_since, notable_lag, service_pauses
from ai_gateway.web.admin.headers import csp_nonce
from ai_gateway.web.admin.home import HomeView
from ai_gateway.web.admin.key_acts import KeyCreateView, KeyRevokeView, KeyRotateView
from ai_gateway.web.admin.keys import KeysView
from ai_gateway.web.admin.langsmith import LangSmithView
from ai_gateway.web.admin.limit_edit import LimitEditView
from ai_gateway.web.admin.links import (
    here,
    kept_fields,
    refusals_page,
    requests_page,
    user_page,
)
from ai_gateway.web.admin.overview import OverviewView
from ai_gateway.web.admin.pauses import PauseLiftView, PauseSetView, PausesView, pause_words
from ai_gateway.web.admin.price_calculator import PriceCalculatorView
from ai_gateway.web.admin.price_change import PriceChangeView
from ai_gateway.web.admin.prices import PricesView
from ai_gateway.web.admin.records import RecordsView
from ai_gateway.web.admin.requests import RequestsView
from ai_gateway.web.admin.staff import StaffView, current_member, init_staff
from ai_gateway.web.admin.system import SystemView
from ai_gateway.web.admin.test_call import TestCallView
from ai_gateway.web.admin.user_detail import UserDetailView
from ai_gateway.web.admin.user_reset import UserResetView
from ai_gateway.web.admin.user_spend import UserSpendView
from ai_gateway.web.admin.users import UserView
from ai_gateway.web.context import services

NAME = "AI Gateway"
THEME_COOKIE = "ai_gateway_theme"
THEMES = frozenset({"light", "dark"})
STATIC_MAX_AGE_SECONDS = 365 * 24 * 3600

PAGES: tuple[type[StaffView] | type[RecordsView], ...] = (
    HomeView,
    TestCallView,
    OverviewView,
    UserSpendView,
    UserDetailView,
    RequestsView,
    SystemView,
    LangSmithView,
    UserResetView,
    UserView,
    BudgetsView,
    LimitEditView,
    PausesView,
    PauseSetView,
    PauseLiftView,
    PricesView,
    PriceCalculatorView,
    PriceChangeView,
    KeysView,
    KeyCreateView,
    KeyRotateView,
    KeyRevokeView,
    AlertsView,
    AlertRuleView,
    AlertTestView,
    AuditView,
)
"""In the order of the menu; the first is the home page at /admin/."""


def init_app(app: Flask) -> None:
    """Put the staff pages on an application that has its services."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = STATIC_MAX_AGE_SECONDS
    app.jinja_env.filters.update(formatting.FILTERS)
    app.context_processor(_shared_values)
    init_staff(app)
    app.register_blueprint(login.make_blueprint())
    app.register_blueprint(account.make_blueprint())
    home, *others = PAGES
    admin = Admin(
        app,
        name=NAME,
        index_view=home(),
        theme=Bootstrap4Theme(base_template="admin/house_base.html"),
        csp_nonce_generator=csp_nonce,
    )
    admin.add_views(*(page() for page in others))


def _shared_values() -> dict[str, Any]:
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "site_name": NAME,
        "csp_nonce": csp_nonce,
        "asset": asset,
        "theme_choice": theme if theme in THEMES else None,
        "theme_cookie": THEME_COOKIE,
        "notices": _notices(),
        "current_member": current_member,
        "here": here,
        "kept_fields": kept_fields,
        "user_page": user_page,
        "requests_page": requests_page,
        "refusals_page": refusals_page,
        "fresh_token": secrets.token_urlsafe,
        "counters_down_since": counters_down_since,
        "notable_lag": notable_lag,
        "service_pauses": service_pauses,
        "pause_words": pause_words,
        "reporting_zone": services().zone,
    }


def _notices() -> tuple[str, ...]:
    """What every page has to say of the figures that it shows."""
    notices = []
    if services().is_simulated:
        notices.append("Simulator: answers are made up and cost nothing real.")
    if services().is_demo:
        notices.append("Demo data: users and calls are made up.")
    return tuple(notices)


def asset(name: str) -> str:
    """The address of a static file; it changes with the content, so that browsers may keep it."""
    folder = Path(__file__).parents[2] / "static"
    return url_for("static", filename=name, v=_fingerprint(folder / name))


@cache
def _fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]
