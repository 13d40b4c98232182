"""Between HTTP and the services: a request in, the answer out, errors in the client's dialect."""

import logging
import socket
from collections.abc import Callable, Iterator
from secrets import token_hex

import orjson
from flask import Request, Response, request
from werkzeug.exceptions import ClientDisconnected, MethodNotAllowed, RequestEntityTooLarge

from ai_gateway.domain.call import PLAIN_ADDRESS, Address, DialectName, Operation
from ai_gateway.domain.exchange import Answer, ByteStream, IncomingCall
from ai_gateway.domain.idempotency import HEADER
from ai_gateway.errors import (
    GatewayError,
    InvalidRequest,
    RequestTooLarge,
    UnsupportedEncoding,
)
from ai_gateway.web.context import services
from ai_gateway.web.credentials import credential_of
from ai_gateway.web.error_bodies import ErrorAnswer, error_answer, error_event, internal_error
from ai_gateway.web.model_lists import anthropic_list, openai_list

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 20 * 2**20

CLIENT_READS_WITHIN_SECONDS = 30
"""A client that takes nothing of its stream for so long has left, else its hold would never end."""

_OVER_A_NETWORK = frozenset({socket.AF_INET, socket.AF_INET6})

FORWARDED_HEADERS: dict[DialectName, tuple[str, ...]] = {
    "openai": ("openai-beta",),
    "anthropic": ("anthropic-version", "anthropic-beta"),
    "azure": (),
}
"""Request headers that go on to the provider; all others stay here."""


def refuse_options() -> None:
    """Flask would answer them by itself; no page of another origin may call, so none has to ask."""
    if request.method == "OPTIONS" and request.url_rule is not None:
        raise MethodNotAllowed(sorted((request.url_rule.methods or set()) - {"OPTIONS"}))


def metered(
    dialect: DialectName, operation: Operation, address: Address = PLAIN_ADDRESS
) -> Response:
    """Answer a call that is held for and booked."""
    return answered(dialect, operation, services().proxy.call, address)


def answered(
    dialect: DialectName,
    operation: Operation,
    ask: Callable[[IncomingCall], Answer],
    address: Address = PLAIN_ADDRESS,
) -> Response:
    """Answer the request by what a service says to it."""
    request_id = _new_request_id()
    try:
        incoming = _incoming(request, dialect, operation, request_id, address)
    except GatewayError as error:
        services().proxy.refuse(request_id, operation, error)
        return _error_response(error_answer(error, dialect, request_id), request_id)
    return _guarded(dialect, request_id, lambda: _response(ask(incoming), dialect, request_id))


def model_list(dialect: DialectName) -> Response:
    """Answer with the models that the key may call in a dialect."""
    request_id = _new_request_id()
    return _guarded(dialect, request_id, lambda: _models(dialect, request_id))


def _models(dialect: DialectName, request_id: str) -> Response:
    listed = services().proxy.models(request_id, credential_of(request), dialect)
    body = anthropic_list(listed) if dialect == "anthropic" else openai_list(listed)
    return Response(orjson.dumps(body), mimetype="application/json")


def _guarded(dialect: DialectName, request_id: str, ask: Callable[[], Response]) -> Response:
    try:
        return _finish(ask(), request_id)
    except GatewayError as error:
        return _error_response(error_answer(error, dialect, request_id), request_id)
    except Exception:
        # The outermost handler: whatever it is, the client gets its dialect's error.
        logger.exception("call_failed", extra={"request_id": request_id})
        return _error_response(internal_error(dialect, request_id), request_id)


def _incoming(
    incoming: Request,
    dialect: DialectName,
    operation: Operation,
    request_id: str,
    address: Address,
) -> IncomingCall:
    names = FORWARDED_HEADERS[dialect]
    return IncomingCall(
        request_id=request_id,
        received_at=services().clock(),
        dialect=dialect,
        operation=operation,
        credential=credential_of(incoming),
        body=_read_body(incoming),
        headers={name: incoming.headers[name] for name in names if name in incoming.headers},
        address=address,
        idempotency_key=incoming.headers.get(HEADER),
    )


def _read_body(incoming: Request) -> bytes:
    """Read at most `MAX_BODY_BYTES`, whether or not the client said how much would come."""
    if incoming.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedEncoding
    # A body without a stated length is cut off at the limit in silence, so it is set one higher.
    incoming.max_content_length = MAX_BODY_BYTES + 1
    try:
        body = incoming.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise RequestTooLarge(MAX_BODY_BYTES) from error
    except ClientDisconnected as error:
        raise InvalidRequest("The request body ended before its stated length.") from error
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(MAX_BODY_BYTES)
    return body


class _ClientStream:
    """A relayed stream whose failure reaches the client as its dialect's own error event."""

    def __init__(self, stream: ByteStream, dialect: DialectName, request_id: str) -> None:
        # Only gunicorn hands out the connection.
        self._connection: socket.socket | None = request.environ.get("gunicorn.socket")
        if self._connection is not None:
            self._connection.settimeout(CLIENT_READS_WITHIN_SECONDS)
            _give_up_a_host_that_vanished(self._connection)
        self._stream = stream
        self._chunks = iter(stream)
        self._dialect = dialect
        self._request_id = request_id

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except GatewayError as error:
            self._chunks = iter(())
            return error_event(error, self._dialect, self._request_id)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            if self._connection is not None:
                self._connection.settimeout(None)


def _give_up_a_host_that_vanished(connection: socket.socket) -> None:
    """What it does not acknowledge in time ends the connection; else only a full buffer would."""
    # Linux alone has it, and a front proxy may sit at a socket of this host.
    if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family in _OVER_A_NETWORK:
        milliseconds = CLIENT_READS_WITHIN_SECONDS * 1000
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _response(answer: Answer, dialect: DialectName, request_id: str) -> Response:
    if isinstance(answer.body, bytes):
        return Response(answer.body, answer.status, dict(answer.headers))
    stream = _ClientStream(answer.body, dialect, request_id)
    response = Response(stream, answer.status, dict(answer.headers))
    # A front proxy that buffers would hold events back.
    response.headers["x-accel-buffering"] = "no"
    return response


def _error_response(error: ErrorAnswer, request_id: str) -> Response:
    return _finish(Response(error.body, error.status, error.headers), request_id)


def _finish(response: Response, request_id: str) -> Response:
    response.headers["x-request-id"] = request_id
    # Anthropic's SDK looks for it under this name.
    response.headers["request-id"] = request_id
    response.headers["cache-control"] = "no-store"
    if services().is_simulated:
        response.headers["x-ai-gateway-simulator"] = "true"
    return response


def _new_request_id() -> str:
    return f"req_{token_hex(16)}"
