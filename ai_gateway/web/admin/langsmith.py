"""The ways from our pages to LangSmith: found on the click, from what is known already."""

from datetime import UTC, datetime

from flask import redirect, request, url_for
from flask_admin.base import expose
from werkzeug.wrappers import Response

from ai_gateway.domain.roles import Permission
from ai_gateway.services.tracing_links import errors_link, run_link
from ai_gateway.web.admin.staff import StaffView
from ai_gateway.web.context import services


class LangSmithView(StaffView):
    """Below /admin/ai-analytics/langsmith/; without a way it leads back to the state."""

    permission = Permission.VIEW_AI_ANALYTICS
    title = "LangSmith"
    group = "Analytics"
    address = "ai-analytics/langsmith"
    has_menu_entry = False
    icon = "chart"

    @expose("/")
    def index(self) -> Response:
        return _leave_for(services().tracing_health().project_page)

    @expose("/errors/")
    def errors(self) -> Response:
        project = services().tracing_health().project_page
        return _leave_for(project and errors_link(project))

    @expose("/calls/<request_id>/")
    def call(self, request_id: str) -> Response:
        """`at` is when the call was admitted."""
        project = services().tracing_health().project_page
        try:
            admitted_at = datetime.fromisoformat(request.args.get("at", "")).astimezone(UTC)
        except (ValueError, OverflowError):
            return _leave_for(project)
        return _leave_for(project and run_link(project, request_id, admitted_at))


def _leave_for(link: str | None) -> Response:
    return redirect(link or url_for("overview.index", _anchor="langsmith"))
