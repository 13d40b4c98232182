"""The blueprint below `/api/v1`: the numbers of the pages as JSON, for programs."""

from functools import cache

from flask import Blueprint, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ai_gateway.errors import InvalidRequest, RequestTooLarge
from ai_gateway.web.api import (
    alerts,
    audit,
    calls,
    keys,
    limits,
    pauses,
    prices,
    requests,
    system,
    usage,
    user,
    users,
)
from ai_gateway.web.api.cors import allow_origin, answer_preflight
from ai_gateway.web.api.endpoint import JSON, Endpoint, error_response
from ai_gateway.web.api.openapi import document

MAX_BODY_BYTES = 2**20
PREFIX = "/api/v1"
ANALYTICS = "/ai/analytics"

ENDPOINTS: tuple[Endpoint, ...] = (
    user.user_usage,
    user.user_spend_limit,
    system.system_usage,
    system.system_tasks,
    system.langsmith_health,
    usage.series,
    usage.models,
    calls.top,
    calls.activity,
    requests.requests,
    requests.request,
    requests.refusals,
    requests.refusal,
    alerts.alerts,
    alerts.alert_rules,
    audit.audit,
    users.users,
    users.user_profile,
    users.reset_user,
    limits.budgets,
    limits.set_installation_limit,
    limits.set_user_defaults,
    limits.user_limits,
    limits.set_user_limits,
    limits.key_limits,
    limits.set_key_limits,
    pauses.pauses,
    pauses.set_pause,
    pauses.lift_pause,
    keys.keys,
    keys.key,
    keys.create_key,
    keys.rotate_key,
    keys.revoke_key,
    prices.prices,
    prices.price_cost,
    prices.set_price,
    prices.withdraw_price,
)
"""Every address, in the order of the document."""

blueprint = Blueprint("api", __name__, url_prefix=PREFIX)
blueprint.before_request(answer_preflight)
blueprint.after_request(allow_origin)

for endpoint in ENDPOINTS:
    blueprint.add_url_rule(
        ANALYTICS + endpoint.rule,
        endpoint.view.__name__,
        endpoint.respond,
        methods=[endpoint.method],
    )


@blueprint.after_request
def keep_nowhere(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@blueprint.errorhandler(HTTPException)
def refuse(error: HTTPException) -> Response:
    """What the framework refuses by itself while it reads a request."""
    if isinstance(error, RequestEntityTooLarge):
        return error_response(RequestTooLarge(MAX_BODY_BYTES))
    return error_response(InvalidRequest(error.description or "This is no request."))


@blueprint.get("/openapi.json")
def openapi_document() -> Response:
    """Open to everybody: it tells what every installation serves, and nothing of this one."""
    return Response(_document(), mimetype=JSON)


@cache
def _document() -> bytes:
    return document(PREFIX + ANALYTICS, ENDPOINTS)
