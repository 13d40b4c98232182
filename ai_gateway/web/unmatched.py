"""Addresses that belong to no route: programs get JSON in their dialect, people get a page."""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ai_gateway.domain.call import DialectName
from ai_gateway.errors import InvalidRequest
from ai_gateway.web.admin import error_pages
from ai_gateway.web.error_bodies import error_answer

PROGRAM_PATHS = ("/v1/", "/api/")


def init_app(app: Flask) -> None:
    """Has to come after the staff pages, whose handlers it wraps."""
    for status in (404, 405):
        app.register_error_handler(status, _unmatched)


def _unmatched(error: HTTPException) -> AnyResponse:
    if not request.path.startswith(PROGRAM_PATHS):
        return error_pages.unmatched(error)
    dialect: DialectName = "anthropic" if "anthropic-version" in request.headers else "openai"
    what = "no such address" if error.code == 404 else "not the method of this address"
    message = f"{request.method} {request.path[:100]!a}: {what} at this gateway."
    body = error_answer(InvalidRequest(message), dialect, "").body
    response = Response(body, error.code or 404, {"content-type": "application/json"})
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        response.headers["allow"] = allowed
    return response
