"""Alerts: what is wrong now, what is looked at, who is told, and whether the messages arrive."""

from flask.typing import ResponseReturnValue
from flask_admin.base import expose

from ai_gateway.domain.alerts import SPECS, Rule
from ai_gateway.domain.roles import Permission, Role, allows
from ai_gateway.services.alert_admin import SHOWN_ATTEMPTS
from ai_gateway.services.alerting import EVERY_SECONDS
from ai_gateway.web.admin.staff import StaffView, current_member
from ai_gateway.web.context import services
from ai_gateway.web.formatting import exact_count, span

REFRESH_SECONDS = 30
CHANNEL_WORDS = {"email": "Email", "webhook": "Webhook"}


class AlertsView(StaffView):
    """At /admin/alerts/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Alerts"
    group = "Manage"
    address = "alerts"
    icon = "bell"

    @expose("/")
    def index(self) -> ResponseReturnValue:
        alerts = services().alerts
        member = current_member()
        role = member.user.role if member else Role.NONE
        return self.render(
            "admin/alerts.html",
            now=alerts.now(),
            zone=services().zone,
            rules=alerts.rules().values(),
            alerts=alerts.alerts(),
            attempts=alerts.attempts(),
            channels=alerts.channels,
            channel_words=CHANNEL_WORDS,
            specs=SPECS,
            recommended=[spec for spec in SPECS.values() if spec.is_recommended],
            may_manage=allows(role, Permission.MANAGE_ALERTS),
            looked_at_every=EVERY_SECONDS,
            most_attempts=SHOWN_ATTEMPTS,
            refresh_seconds=REFRESH_SECONDS,
            threshold_words=threshold_words,
            cool_down_words=cool_down_words,
        )


def threshold_words(rule: Rule) -> str:
    """`80 % of the limit`."""
    unit = SPECS[rule.kind].unit
    is_one = rule.threshold == 1 and not unit.startswith("%")
    return f"{exact_count(rule.threshold)} {unit.removesuffix('s') if is_one else unit}"


def cool_down_words(rule: Rule) -> str:
    return span(rule.cool_down) if rule.cool_down else "none"
