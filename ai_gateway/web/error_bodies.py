"""Exception -> status, type, code, advice, and the body in the client's dialect. The one table.

No row shows an upstream body (but for a provider's own 4xx), a host, a key or SQL.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import orjson

from ai_gateway.domain.call import DialectName
from ai_gateway.errors import (
    AddressNotFound,
    BudgetExhausted,
    BudgetUnavailable,
    CallAlreadyMade,
    CallEnded,
    CallStillRunning,
    ChangedMeanwhile,
    GatewayError,
    GatewayUnavailable,
    IdempotencyKeyReused,
    InvalidKey,
    InvalidRequest,
    KeyNotFound,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    NotPermitted,
    RequestNotFound,
    RequestTooLarge,
    ResponseNotFound,
    ServicePaused,
    UnsupportedEncoding,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
    UserNotFound,
    UserPaused,
    WrongMethod,
)
from ai_gateway.web import error_messages
from ai_gateway.web.error_messages import said

JSON = "application/json"

RETRY = {"x-should-retry": "true"}
NO_RETRY = {"x-should-retry": "false"}
"""The SDKs send a call up to three times for 408, 409, 429 and 5xx unless they are told not to."""


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """How one class of error is told. `anthropic_type` is its word in Anthropic's envelope."""

    status: int
    type: str
    code: str
    anthropic_type: str
    message: Callable[[GatewayError], str]
    headers: Callable[[GatewayError], dict[str, str]] = lambda _: {}


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes


def _always(headers: dict[str, str]) -> Callable[[GatewayError], dict[str, str]]:
    return lambda _: dict(headers)


def _retry_after(error: GatewayError) -> dict[str, str]:
    seconds = error.retry_after if isinstance(error, UpstreamRateLimited) else None
    return {} if seconds is None else {"retry-after": str(seconds)}


def _unavailable_headers(error: GatewayError) -> dict[str, str]:
    # What the provider may have billed must not be sent again by a client that does not know.
    is_safe = isinstance(error, UpstreamUnavailable) and (
        not error.was_sent or error.status is not None
    )
    return dict(RETRY if is_safe else NO_RETRY)


def _not_found(code: str, message: Callable[[GatewayError], str]) -> ErrorRow:
    return ErrorRow(404, "invalid_request_error", code, "not_found_error", message)


def _wrong(status: int, code: str, message: Callable[[GatewayError], str]) -> ErrorRow:
    word = "invalid_request_error"
    return ErrorRow(status, word, code, word, message)


def _not_again(status: int, code: str, message: Callable[[GatewayError], str]) -> ErrorRow:
    """The same request would only be told the same."""
    return replace(_wrong(status, code, message), headers=_always(NO_RETRY))


ROWS: dict[type[GatewayError], ErrorRow] = {
    InvalidRequest: _wrong(400, "invalid_request", str),
    RequestTooLarge: ErrorRow(
        413,
        "invalid_request_error",
        "request_too_large",
        "request_too_large",
        error_messages.too_large,
    ),
    UnsupportedEncoding: _wrong(415, "unsupported_encoding", error_messages.compressed),
    InvalidKey: ErrorRow(
        401,
        "authentication_error",
        "invalid_api_key",
        "authentication_error",
        error_messages.invalid_key,
    ),
    ModelNotAllowed: ErrorRow(
        403,
        "permission_error",
        "model_not_allowed",
        "permission_error",
        error_messages.model_not_allowed,
    ),
    ModelNotFound: _not_found("model_not_found", error_messages.model_not_found),
    ResponseNotFound: _not_found("response_not_found", error_messages.response_not_found),
    NotPermitted: ErrorRow(403, "permission_error", "not_permitted", "permission_error", str),
    UserNotFound: _not_found("user_not_found", said("There is no user of that number.")),
    KeyNotFound: _not_found("key_not_found", said("There is no key of that id.")),
    RequestNotFound: _not_found("request_not_found", said("There is no request of that id.")),
    AddressNotFound: _not_found("not_found", str),
    WrongMethod: _wrong(405, "method_not_allowed", str),
    ChangedMeanwhile: _not_again(
        409,
        "changed_meanwhile",
        said("Somebody changed it meanwhile: read it again, and send what you want then."),
    ),
    CallStillRunning: _not_again(409, "idempotency_in_progress", error_messages.repeated),
    CallAlreadyMade: _not_again(409, "idempotency_repeat", error_messages.repeated),
    IdempotencyKeyReused: _not_again(422, "idempotency_mismatch", error_messages.repeated),
    ModelUnpriced: _wrong(422, "model_unpriced", error_messages.model_unpriced),
    BudgetExhausted: ErrorRow(
        429,
        "insufficient_quota",
        "insufficient_quota",
        "rate_limit_error",
        error_messages.budget_exhausted,
        _always(NO_RETRY),
    ),
    UserPaused: ErrorRow(
        403,
        "permission_error",
        "user_paused",
        "permission_error",
        error_messages.paused,
        _always(NO_RETRY),
    ),
    ServicePaused: ErrorRow(
        503,
        "server_error",
        "calls_paused",
        "api_error",
        error_messages.paused,
        _always(NO_RETRY),
    ),
    UpstreamRateLimited: ErrorRow(
        429,
        "rate_limit_error",
        "upstream_rate_limited",
        "rate_limit_error",
        said("The provider's own rate limit refused the call."),
        _retry_after,
    ),
    UpstreamRefusedCredential: ErrorRow(
        502,
        "server_error",
        "upstream_credential",
        "api_error",
        said("The provider refused the gateway's own credential; tell the operator."),
        _always(NO_RETRY),
    ),
    UpstreamUnavailable: ErrorRow(
        502,
        "server_error",
        "upstream_unavailable",
        "api_error",
        said("The provider did not give a usable answer."),
        _unavailable_headers,
    ),
    CallEnded: ErrorRow(
        502,
        "server_error",
        "call_ended",
        "api_error",
        error_messages.call_ended,
        _always(NO_RETRY),
    ),
    UpstreamTimeout: ErrorRow(
        504,
        "server_error",
        "upstream_timeout",
        "timeout_error",
        said("The provider did not answer in time; it may have done the work."),
        _always(NO_RETRY),
    ),
    BudgetUnavailable: ErrorRow(
        503,
        "server_error",
        "budget_unavailable",
        "overloaded_error",
        said("Budgets cannot be read right now, so nothing was sent or changed. Try again soon."),
        _always({"retry-after": "2", **RETRY}),
    ),
    GatewayUnavailable: ErrorRow(
        503,
        "server_error",
        "gateway_unavailable",
        "overloaded_error",
        said("A part of the gateway is not available right now. Try again soon."),
        _always({"retry-after": "2", **RETRY}),
    ),
}
"""Rejections of a provider (`UpstreamRejected`) have no row: they keep their status and body."""

INTERNAL_ROW = ErrorRow(
    500,
    "server_error",
    "internal_error",
    "api_error",
    said("The gateway failed to handle the call; the request id helps the operator."),
)


def error_answer(error: GatewayError, dialect: DialectName, request_id: str) -> ErrorAnswer:
    """The whole answer for an error that came before the first byte."""
    if isinstance(error, UpstreamRejected) and _is_json_object(error.body):
        return ErrorAnswer(error.status, {"content-type": JSON}, error.body)
    row = row_of(error)
    status = error.status if isinstance(error, UpstreamRejected) else row.status
    headers = {"content-type": JSON, **row.headers(error)}
    return ErrorAnswer(status, headers, _body(row, error, dialect, request_id))


def error_event(error: GatewayError, dialect: DialectName, request_id: str) -> bytes:
    """The dialect's own error event, for an error after the first byte."""
    body = _body(row_of(error), error, dialect, request_id)
    return (b"event: error\n" if dialect == "anthropic" else b"") + b"data: " + body + b"\n\n"


def internal_error(dialect: DialectName, request_id: str) -> ErrorAnswer:
    """The answer for a fault of ours; says nothing of it."""
    body = _body(INTERNAL_ROW, GatewayError(), dialect, request_id)
    return ErrorAnswer(500, {"content-type": JSON, **NO_RETRY}, body)


def row_of(error: GatewayError) -> ErrorRow:
    for kind in type(error).__mro__:
        if kind in ROWS:
            return ROWS[kind]
    return INTERNAL_ROW if not isinstance(error, UpstreamRejected) else _REJECTED


_REJECTED = ErrorRow(
    400,
    "invalid_request_error",
    "upstream_rejected",
    "invalid_request_error",
    said("The provider rejected the request."),
)


def _body(row: ErrorRow, error: GatewayError, dialect: DialectName, request_id: str) -> bytes:
    message = row.message(error)
    if dialect == "anthropic":
        return orjson.dumps(
            {
                "type": "error",
                "error": {"type": row.anthropic_type, "message": message},
                "request_id": request_id,
            }
        )
    param = error.param if isinstance(error, InvalidRequest) else None
    return orjson.dumps(
        {"error": {"message": message, "type": row.type, "param": param, "code": row.code}}
    )


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False
