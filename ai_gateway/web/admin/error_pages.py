"""Error pages in the house style, each with a reference that the log repeats. None reads SQL."""

import logging
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response as AnyResponse

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.web.admin.headers import protect

RETRY_AFTER_SECONDS = 10
STAFF_PATHS = ("/admin", "/login", "/logout", "/me")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Words:
    """What a page says: what happened, and what to do."""

    title: str
    text: str


WORDS = {
    HTTPStatus.UNAUTHORIZED: Words("Log in first", "This needs a log-in, and you have none."),
    HTTPStatus.FORBIDDEN: Words(
        "Not permitted", "Your role does not include this page. An administrator can change that."
    ),
    HTTPStatus.NOT_FOUND: Words("Page not found", "There is no page at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: Words(
        "Not this way", "This address does not take that kind of request."
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: Words(
        "Something went wrong",
        "The error is ours and was written to the log. Give the reference below to whoever "
        "runs this gateway.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: Words(
        "The database does not answer",
        "These pages cannot be shown until it is back. Calls to /v1 do not wait for it. "
        "Reload in a moment.",
    ),
}
OTHER = Words("This request was not understood", "Nothing was changed. Go back and try it again.")
EXPIRED_FORM = Words(
    "This form has expired", "Nothing was changed. Go back, reload the page and send it again."
)
NO_ROLE = Words(
    "No access to the staff pages",
    "You are logged in, but your account has no staff role. An administrator can give it one.",
)


def register_on(blueprint: Blueprint) -> None:
    """Answer every error inside a staff blueprint with a page."""
    blueprint.register_error_handler(CSRFError, _expired_form)
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(GatewayUnavailable, _unavailable)


def unmatched(error: HTTPException) -> AnyResponse:
    if wants_page(request.path, request.headers.get("Accept", "")):
        return _http_error(error)
    return error.get_response()


def error_page(status: int, words: Words | None = None) -> Response:
    """Render the page of a status; the log has the same reference for errors of ours."""
    reference = secrets.token_hex(4)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("page_failed", extra={"reference": reference, "status": status})
    page = render_template(
        "admin/error.html",
        status=int(status),
        words=words or WORDS.get(HTTPStatus(status), OTHER),
        reference=reference,
    )
    return protect(make_response(page, int(status)))


def wants_page(path: str, accept: str) -> bool:
    """Whether a person with a browser asks; a program names no HTML."""
    is_staff = any(path == prefix or path.startswith(f"{prefix}/") for prefix in STAFF_PATHS)
    return is_staff or "text/html" in accept


def _expired_form(_error: CSRFError) -> Response:
    return error_page(HTTPStatus.BAD_REQUEST, EXPIRED_FORM)


def _http_error(error: HTTPException) -> AnyResponse:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    if isinstance(error, InternalServerError):
        return error_page(HTTPStatus.INTERNAL_SERVER_ERROR)
    response = error_page(error.code)
    response.headers.extend(
        {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    )
    return response


def _unavailable(_error: GatewayUnavailable) -> Response:
    response = error_page(HTTPStatus.SERVICE_UNAVAILABLE)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
