"""The overview: what was spent in a span, through whom and by whom, and the last calls."""

from flask import request
from flask_admin.base import expose

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.roles import Permission
from ai_gateway.services.periods import OverviewRange
from ai_gateway.web.admin.staff import StaffView
from ai_gateway.web.context import services

RANGE_WORDS = {
    OverviewRange.HOURS_24: "24 h",
    OverviewRange.DAYS_7: "7 days",
    OverviewRange.DAYS_30: "30 days",
    OverviewRange.MONTH: "Month",
}

OUTCOME_WORDS = {
    Outcome.SUCCESS: ("check", "ok", "Success"),
    Outcome.UPSTREAM_REJECTED: ("stop", "exceeded", "Rejected by provider"),
    Outcome.UPSTREAM_ERROR: ("stop", "exceeded", "Provider error"),
    Outcome.UPSTREAM_TIMEOUT: ("stop", "exceeded", "Provider timeout"),
    Outcome.GATEWAY_ERROR: ("stop", "exceeded", "Gateway error"),
    Outcome.CANCELLED: ("away", "plain", "Client left"),
}
"""Icon, colour and words of every outcome that an admitted call can have."""


class OverviewView(StaffView):
    """At /admin/ai-analytics/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Overview"
    group = "Analytics"
    address = "ai-analytics"
    icon = "chart"

    @expose("/")
    def index(self) -> str:
        return self.render(
            "admin/overview.html",
            overview=services().reports.overview(_asked_range(request.args.get("range", ""))),
            range_words=RANGE_WORDS,
            outcome_words=_outcome_words,
            base_url=request.url_root,
        )


def _asked_range(word: str) -> OverviewRange:
    try:
        return OverviewRange(word)
    except ValueError:
        return OverviewRange.DAYS_7


def _outcome_words(outcome: str) -> tuple[str, str, str]:
    try:
        return OUTCOME_WORDS[Outcome(outcome)]
    except (KeyError, ValueError):
        return "info", "plain", outcome.replace("_", " ")
