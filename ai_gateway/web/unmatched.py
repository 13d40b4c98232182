"""What no route answers: programs get JSON in their dialect, people get a page."""

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ai_gateway.domain.call import DialectName
from ai_gateway.errors import AddressNotFound, WrongMethod
from ai_gateway.web.admin import error_pages
from ai_gateway.web.error_bodies import error_answer, internal_error

API_PATHS = "/api/"
PROGRAM_PATHS = ("/v1/", "/openai/", API_PATHS)


def init_app(app: Flask) -> None:
    """Answer what no blueprint does; pages of people are rendered by the staff site."""
    for status in (404, 405):
        app.register_error_handler(status, _unmatched)
    app.register_error_handler(500, _failed)


def _unmatched(error: HTTPException) -> AnyResponse:
    if not request.path.startswith(PROGRAM_PATHS):
        return error_pages.unmatched(error)
    asked = f"{request.method} {request.path[:100]!a}"
    fault = (
        AddressNotFound(f"{asked}: no such address at this gateway.")
        if error.code == 404
        else WrongMethod(f"{asked}: not the method of this address at this gateway.")
    )
    answer = error_answer(fault, _dialect(), "")
    response = Response(answer.body, answer.status, answer.headers)
    if request.path.startswith(API_PATHS):
        response.headers["cache-control"] = "no-store"
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
