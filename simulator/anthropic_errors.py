"""Anthropic's error bodies, word for word where the words are known."""

from http import HTTPStatus
from typing import Final

from simulator.request import JsonObject
from simulator.wire import ApiError

_OVERLOADED: Final = 529

_KINDS: Final[dict[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_MESSAGES: Final[dict[int, str]] = {
    400: "Invalid request, as the prompt asked for.",
    401: "invalid x-api-key",
    403: "Your API key does not have permission to use the specified resource.",
    404: "model: {model}",
    429: "This request would exceed your organization's rate limit of 50 requests per minute. For "
    "details, refer to: https://docs.claude.com/en/api/rate-limits.",
    500: "Internal server error",
    503: "Service unavailable",
    529: "Overloaded",
}


def body_of(error: ApiError, request_id: str) -> JsonObject:
    """Write an error in Anthropic's envelope."""
    return {
        "type": "error",
        "error": {"type": error.kind, "message": error.message},
        "request_id": request_id,
    }


def invalid(message: str) -> ApiError:
    """Refuse a request for what is in it."""
    return _error(HTTPStatus.BAD_REQUEST, message)


def bad_json() -> ApiError:
    """Refuse a body that is not a JSON object."""
    return invalid(
        "The request body is not valid JSON: unexpected character: line 1 column 1 (char 0)"
    )


def bad_credential(message: str) -> ApiError:
    """Refuse a request for its credential."""
    return _error(HTTPStatus.UNAUTHORIZED, message)


def not_found() -> ApiError:
    """Refuse a path that is not there."""
    return _error(HTTPStatus.NOT_FOUND, "Not found")


def wrong_method() -> ApiError:
    """Refuse a method that a path does not know."""
    return _error(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")


def overloaded() -> ApiError:
    """Fail as a stream does in its middle."""
    return _error(_OVERLOADED, _MESSAGES[_OVERLOADED])


def failure(status: int, model: str) -> ApiError:
    """Fail with a status that the prompt asked for."""
    message = _MESSAGES.get(status, f"Failed with {status}.").format(model=model)
    error = _error(status, message)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        error.headers.append(("retry-after", "2"))
    if status >= HTTPStatus.TOO_MANY_REQUESTS:
        error.headers.append(("x-should-retry", "true"))
    return error


def _error(status: int, message: str) -> ApiError:
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = _KINDS.get(status, "api_error" if is_ours else "invalid_request_error")
    return ApiError(status=status, kind=kind, message=message)
