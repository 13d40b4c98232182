"""Probes and the scrape: `/health/live`, `/health/ready`, `/metrics`."""

from flask import Blueprint, Response, request

from ai_gateway.telemetry.metrics import CONTENT_TYPE
from ai_gateway.web.context import services

blueprint = Blueprint("probes", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    return Response('{"status":"ok"}', mimetype="application/json")


@blueprint.get("/health/ready")
def ready() -> Response:
    if services().health.is_ready():
        return Response('{"status":"ok"}', mimetype="application/json")
    return Response('{"status":"unavailable"}', 503, mimetype="application/json")


@blueprint.get("/metrics")
def metrics() -> Response:
    if not services().scrape_rule.allows(request):
        return Response("Scraping needs the token of the operator.\n", 403, mimetype="text/plain")
    return Response(services().health.scrape(), content_type=CONTENT_TYPE)
