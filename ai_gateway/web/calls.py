"""Between HTTP and the services: a request in, the answer out, errors in the client's dialect."""

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from secrets import token_hex

import orjson
from flask import Request, Response, request
from flask.globals import request_ctx
from werkzeug.datastructures import Headers
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.wsgi import get_content_length

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
from ai_gateway.web.error_bodies import (
    JSON,
    ErrorAnswer,
    error_answer,
    error_event,
    internal_error,
)
from ai_gateway.web.model_lists import anthropic_list, openai_list

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 20 * 2**20
CUT_OFF = "The request body ended before its stated length."

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
    exchange = _Exchange(dialect)
    try:
        incoming = exchange.incoming(operation, address)
    except GatewayError as error:
        exchange.services.proxy.refuse(exchange.request_id, operation, error)
        return exchange.refused(error)
    return exchange.guarded(lambda: exchange.answered(ask(incoming)))


def model_list(dialect: DialectName) -> Response:
    """Answer with the models that the key may call in a dialect."""
    exchange = _Exchange(dialect)
    return exchange.guarded(exchange.models)


class _CompleteResponse(Response):
    """One that lacks no header: Werkzeug would go through a copy of them to see that."""

    def get_wsgi_headers(self, environ: Mapping[str, object]) -> Headers:  # noqa: ARG002
        return self.headers


class _Exchange:
    """A request and its answer, whatever that is: it names the request, and nobody may keep it."""

    def __init__(self, dialect: DialectName) -> None:
        # Not Flask's `request`, which looks for it again at each use.
        self.request = request_ctx.request
        self.services = services()
        self.dialect = dialect
        self.request_id = f"req_{token_hex(16)}"

    def incoming(self, operation: Operation, address: Address) -> IncomingCall:
        sent = self.request.headers
        return IncomingCall(
            request_id=self.request_id,
            received_at=self.services.clock(),
            dialect=self.dialect,
            operation=operation,
            credential=credential_of(self.request),
            body=_read_body(self.request),
            headers={name: sent[name] for name in FORWARDED_HEADERS[self.dialect] if name in sent},
            address=address,
            idempotency_key=sent.get(HEADER),
        )

    def guarded(self, answer: Callable[[], Response]) -> Response:
        try:
            return answer()
        except GatewayError as error:
            return self.refused(error)
        except Exception:
            # The outermost handler: whatever it is, the client gets its dialect's error.
            logger.exception("call_failed", extra={"request_id": self.request_id})
            return self._error(internal_error(self.dialect, self.request_id))

    def answered(self, answer: Answer) -> Response:
        if isinstance(answer.body, bytes):
            return self._response(answer.body, answer.status, answer.headers)
        # A front proxy that buffers would hold events back.
        headers = {**answer.headers, "x-accel-buffering": "no"}
        return self._response(_ClientStream(answer.body, self), answer.status, headers)

    def models(self) -> Response:
        credential = credential_of(self.request)
        listed = self.services.proxy.models(self.request_id, credential, self.dialect)
        body = anthropic_list(listed) if self.dialect == "anthropic" else openai_list(listed)
        return self._response(orjson.dumps(body), HTTPStatus.OK, {"content-type": JSON})

    def refused(self, error: GatewayError) -> Response:
        return self._error(error_answer(error, self.dialect, self.request_id))

    def _error(self, error: ErrorAnswer) -> Response:
        return self._response(error.body, error.status, error.headers)

    def _response(
        self, body: bytes | Iterator[bytes], status: int, headers: Mapping[str, str]
    ) -> Response:
        own = {
            "x-request-id": self.request_id,
            # Anthropic's SDK looks for it under this name.
            "request-id": self.request_id,
            "cache-control": "no-store",
        }
        if self.services.is_simulated:
            own["x-ai-gateway-simulator"] = "true"
        # A header that is set later is looked for among the others; bytes need no encoding.
        return _CompleteResponse(body, status, {**headers, **own}, direct_passthrough=True)


def _read_body(incoming: Request) -> bytes:
    """Read at most `MAX_BODY_BYTES`, whether or not the client said how much would come."""
    if incoming.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedEncoding
    stated = get_content_length(incoming.environ)
    if stated is not None and stated > MAX_BODY_BYTES:
        raise RequestTooLarge(MAX_BODY_BYTES)
    try:
        # gunicorn ends it where the body does; Werkzeug's guard would read on to find that out.
        body = incoming.input_stream.read(MAX_BODY_BYTES + 1 if stated is None else stated)
    except OSError as error:
        raise InvalidRequest(CUT_OFF) from error
    if stated is not None and len(body) < stated:
        raise InvalidRequest(CUT_OFF)
    if len(body) > MAX_BODY_BYTES:
        raise RequestTooLarge(MAX_BODY_BYTES)
    return body


class _ClientStream:
    """A relayed stream whose failure reaches the client as its dialect's own error event."""

    def __init__(self, stream: ByteStream, exchange: _Exchange) -> None:
        # Only gunicorn hands out the connection.
        self._connection: socket.socket | None = exchange.request.environ.get("gunicorn.socket")
        if self._connection is not None:
            self._connection.settimeout(CLIENT_READS_WITHIN_SECONDS)
            _give_up_a_host_that_vanished(self._connection)
        self._stream = stream
        self._chunks = iter(stream)
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except GatewayError as error:
            self._chunks = iter(())
            return error_event(error, self._exchange.dialect, self._exchange.request_id)

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
