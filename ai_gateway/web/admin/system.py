"""The system page: is the gateway healthy, and where is it slow."""

from flask import request
from flask_admin.base import expose

from ai_gateway.domain.roles import Permission
from ai_gateway.stores.rollups import DURATION, FIRST_TOKEN, OVERHEAD
from ai_gateway.web.admin.health_cards import diagnostics, health_cards
from ai_gateway.web.admin.ranges import earlier, later, range_options, read_range
from ai_gateway.web.admin.staff import StaffView
from ai_gateway.web.admin.system_charts import own_time, system_charts
from ai_gateway.web.admin.wording import refusal_words, task_words
from ai_gateway.web.context import services

REFRESH_SECONDS = 30


class SystemView(StaffView):
    """At /admin/ai-analytics/system/."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "System"
    group = "Analytics"
    address = "ai-analytics/system"
    icon = "pulse"

    @expose("/")
    def index(self) -> str:
        report = services().system.report(read_range(request.args))
        health = services().parts_health.read(services().health)
        zone, period = services().zone, report.usage.period
        return self.render(
            "admin/system.html",
            report=report,
            health=health,
            cards=health_cards(health, report),
            diagnostics=diagnostics(health, report),
            shown=system_charts(report),
            duration=report.times[DURATION].overall,
            first_token=report.times[FIRST_TOKEN].overall,
            overhead=report.times[OVERHEAD].overall,
            own_time=own_time,
            refusals=[(refusal_words(row.reason), row) for row in report.refusals],
            tasks=[(task_words(row), row) for row in services().tasks.rows()],
            zone=zone,
            now=health.now,
            ranges=range_options(),
            shifts=(earlier(period, zone), later(period, zone)),
            refresh_seconds=REFRESH_SECONDS,
        )
