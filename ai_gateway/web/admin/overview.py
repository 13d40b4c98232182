"""The overview: what was spent in a span, through whom and by whom, and the last calls."""

from calendar import monthrange
from enum import StrEnum
from fractions import Fraction
from typing import Any

from flask import request, url_for
from flask_admin.base import expose

from ai_gateway.domain.house_rules import PauseScope
from ai_gateway.domain.roles import Permission
from ai_gateway.services.reports import Overview
from ai_gateway.services.usage_report import Dimension
from ai_gateway.stores.usage_sums import Step
from ai_gateway.web.admin.charts import Chart, sparkline
from ai_gateway.web.admin.conditions import pauses
from ai_gateway.web.admin.health_cards import tracing_card
from ai_gateway.web.admin.links import here, read_word
from ai_gateway.web.admin.provider_table import ProviderChoices, sorted_providers
from ai_gateway.web.admin.ranges import earlier, later, range_options, read_range
from ai_gateway.web.admin.staff import StaffView, may
from ai_gateway.web.admin.usage_charts import Measure, usage_chart
from ai_gateway.web.admin.wording import outcome_words, refusal_words
from ai_gateway.web.context import services
from ai_gateway.web.formatting import count, rate

REFRESH_SECONDS = 30


class OverviewView(StaffView):
    """At /admin/ai-analytics/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "Overview"
    group = "Analytics"
    address = "ai-analytics"
    icon = "chart"

    @expose("/")
    def index(self) -> str:
        asked = read_range(request.args)
        by = read_word("by", Dimension.PROVIDER)
        measure = _measure(by)
        overview = services().reports.overview(asked, by)
        order = ProviderChoices.asked()
        zone, tracing = services().zone, services().tracing_health()
        return self.render(
            "admin/overview.html",
            overview=overview,
            zone=zone,
            ranges=range_options(),
            shifts=(earlier(overview.usage.period, zone), later(overview.usage.period, zone)),
            is_compared=request.args.get("compare") != "off",
            attention=_attention(overview),
            chart=_chart(overview, measure),
            choices=Choices(by, measure),
            order=order,
            sparks=_sparks(overview),
            providers=sorted_providers(overview.usage.providers, order),
            outcome_words=outcome_words,
            refusal_words=refusal_words,
            tracing=tracing_card(tracing),
            has_langsmith=tracing.project_page is not None,
            may_edit=may(Permission.MANAGE_USERS),
            base_url=request.url_root,
            may_manage_keys=may(Permission.MANAGE_KEYS),
            refresh_seconds=REFRESH_SECONDS,
        )


class Choices:
    """What is drawn, with the addresses of the other choices."""

    def __init__(self, by: Dimension, measure: Measure) -> None:
        self.by = by
        self.measure = measure

    def dimensions(self) -> list[tuple[str, str, bool]]:
        """Address, words, and whether it is the present one."""
        return [
            (here(by=_unless(one, Dimension.PROVIDER)), f"By {one.value}", one is self.by)
            for one in Dimension
        ]

    def measures(self) -> list[tuple[str, str, bool]]:
        return [
            (here(measure=_unless(one, Measure.COST)), one.value.capitalize(), one is self.measure)
            for one in _measures(self.by)
        ]


def _attention(overview: Overview) -> list[tuple[str, str, str]]:
    """Colour, words and address of what needs somebody."""
    exceeded, unpriced = overview.counts.exceeded, overview.unpriced_models
    warning = overview.counts.warning - exceeded
    items = []
    if exceeded:
        href = url_for("userspend.index", filter="exceeded")
        items.append(("exceeded", f"{_counted(exceeded, 'user')} exceeded", href))
    if warning:
        href = url_for("userspend.index", filter="warning")
        items.append(("warning", f"{_counted(warning, 'user')} over 80 %", href))
    if paused := sum(pause.target.scope is PauseScope.USER for pause in pauses()):
        items.append(("exceeded", f"{_counted(paused, 'user')} paused", url_for("pauses.index")))
    for trouble in overview.lately.trouble:
        words = f"{trouble.provider}: {rate(trouble.error_rate)} errors this hour"
        href = url_for("requests.index", range="24h", provider=trouble.provider, outcome="failed")
        items.append(("exceeded", words, href))
    if unpriced:
        href = url_for("prices.index", status="unpriced")
        items.append(("warning", f"{_counted(unpriced, 'model')} without price", href))
    return items


def _counted(number: int, noun: str) -> str:
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def _measures(by: Dimension) -> list[Measure]:
    """The tokens of each user over time are not kept."""
    return [one for one in Measure if by is not Dimension.USER or one is not Measure.TOKENS]


def _measure(by: Dimension) -> Measure:
    measure = read_word("measure", Measure.COST)
    return measure if measure in _measures(by) else Measure.COST


def _unless(word: StrEnum, default: StrEnum) -> str | None:
    return None if word is default else word.value


def _chart(overview: Overview, measure: Measure) -> Chart:
    return usage_chart(
        overview.series,
        overview.usage.period,
        measure=measure,
        zone=services().zone,
        pace=_pace(overview) if measure is Measure.COST else None,
    )


def _pace(overview: Overview) -> Fraction | None:
    """What a day may cost if the installation's budget is to last for this month."""
    limit = overview.installation.limit
    if overview.usage.period.step is not Step.DAY or not limit.is_amount:
        return None
    today = overview.now.astimezone(services().zone)
    return Fraction(limit.amount, monthrange(today.year, today.month)[1])


def _sparks(overview: Overview) -> dict[str, Any]:
    totals = overview.usage.totals()
    return {
        "cost": sparkline([sums.cost for sums in totals]),
        "tokens": sparkline([sums.tokens for sums in totals]),
        "errors": sparkline([sums.error_rate for sums in totals]),
        "average": sparkline([sums.average_cost for sums in totals]),
    }
