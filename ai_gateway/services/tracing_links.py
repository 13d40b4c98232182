"""Where LangSmith shows a call, or all that failed; made without asking it."""

from datetime import datetime
from urllib.parse import urlencode

from ai_gateway.telemetry.tracing_run import run_id


def run_link(project_link: str, request_id: str, admitted_at: datetime) -> str:
    """A call that the sample left out, or that was dropped, is not found there."""
    return f"{project_link}/r/{run_id(request_id, admitted_at)}"


def errors_link(project_link: str) -> str:
    """The failed runs of a week; the form is what LangSmith's own pages link to, not documented."""
    chosen = {
        "searchModel": '{"filter":"eq(status, \\"error\\")"}',
        "timeModel": '{"duration":"7d"}',
    }
    return f"{project_link}?{urlencode(chosen)}"
