"""Lets pages of listed origins read the API from a browser. Off unless the operator lists some.

They read by a key in a header; no cookie counts from another origin, since the answers never allow
credentials, and nothing but GET is allowed.
"""

from flask import Response, request
from werkzeug.exceptions import MethodNotAllowed

from ai_gateway.web.context import services

METHODS = "GET, HEAD"
REQUEST_HEADERS = "Authorization, X-Api-Key, Api-Key"
PREFLIGHT_SECONDS = 600


def answer_preflight() -> Response | None:
    """Answer the question of a listed origin; to anybody else, OPTIONS is a wrong method."""
    if request.method != "OPTIONS" or request.url_rule is None:
        return None
    if not _is_listed() or "Access-Control-Request-Method" not in request.headers:
        raise MethodNotAllowed(sorted((request.url_rule.methods or set()) - {"OPTIONS"}))
    headers = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": REQUEST_HEADERS,
        "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
    }
    return Response(status=204, headers=headers)


def allow_origin(response: Response) -> Response:
    """Name the origin that may read this answer, and tell caches that it depends on it."""
    if services().cors_origins:
        response.vary.add("Origin")
    if _is_listed():
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
    return response


def _is_listed() -> bool:
    return request.headers.get("Origin") in services().cors_origins
