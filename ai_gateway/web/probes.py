"""Probes and the scrape: `/health/live`, `/health/ready`, `/metrics`."""

import gzip

from flask import Blueprint, Response, request

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


@blueprint.get("/metrics", provide_automatic_options=False)
def metrics() -> Response:
    if not services().scrape_rule.allows(request):
        return Response("Scraping needs the token of the operator.\n", 403, mimetype="text/plain")
    scraped = services().health.scrape(request.headers.get("accept", ""))
    response = Response(scraped.text, content_type=scraped.content_type)
    response.vary.update(("accept", "accept-encoding"))
    if request.accept_encodings["gzip"] > 0:
        # The lowest level takes a tenth of the time and makes hardly more of it.
        response.data = gzip.compress(scraped.text, compresslevel=1)
        response.content_encoding = "gzip"
    return response
