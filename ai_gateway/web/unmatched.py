"""What no route answers: programs get JSON in their dialect, people get a page."""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ai_gateway.domain.call import DialectName
from ai_gateway.errors import InvalidRequest
from ai_gateway.web.admin import error_pages
from ai_gateway.web.error_bodies import error_answer, internal_error

PROGRAM_PATHS = ("/v1/", "/openai/", "/api/")


def init_app(app: Flask) -> None:
    """Answer what no blueprint does; pages of people are rendered by the staff site."""
    for status in (404, 405):
        app.register_error_handler(status, _unmatched)
    app.register_error_handler(500, _failed)


def _unmatched(error: HTTPException) -> AnyResponse:
    if not request.path.startswith(PROGRAM_PATHS):
        return error_pages.unmatched(error)
    what = "no such address" if error.code == 404 else "not the method of this address"
    message = f"{request.method} {request.path[:100]!a}: {what} at this gateway."
    body = error_answer(InvalidRequest(message), _dialect(), "").body
    response = Response(body, error.code or 404, {"content-type": "application/json"})
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        response.headers["allow"] = allowed
    return response


def _failed(error: HTTPException) -> AnyResponse:
    """A fault of ours; the framework has written it to the log."""
    if not request.path.startswith(PROGRAM_PATHS):
        return error_pages.unmatched(error)
    answer = internal_error(_dialect(), "")
    return Response(answer.body, answer.status, answer.headers)


def _dialect() -> DialectName:
    return "anthropic" if "anthropic-version" in request.headers else "openai"
