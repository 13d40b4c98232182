"""The simulator as a WSGI application: from a request to what is sent.

One call: log it, find out whom it is for (``places.py``), check the headers, read the JSON, look
for a recorded answer, find the scenario, let the endpoint read the request, answer. Whatever is
wrong on the way is an ``ApiError``, which the dialect turns into its vendor's body.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from secrets import token_hex
from typing import Final
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson

from simulator.calls import Call, CallLog
from simulator.control import Control
from simulator.delivery import Client, Delivery
from simulator.dialect import Dialect, Endpoint
from simulator.places import Directory, Place
from simulator.request import JsonObject, prompt_of
from simulator.rules import RecordedAnswer
from simulator.scenario import HEALTHY, Scenario, ScenarioError, parse_scenario
from simulator.wire import (
    ApiError,
    EventStream,
    Headers,
    Part,
    PartKind,
    Response,
    event_stream_headers,
    json_body,
    json_bytes,
)

# Where the server leaves the connection's ``Client`` for the application.
CLIENT_KEY: Final = "simulator.client"

_NOWHERE: Final = "http://127.0.0.1:1/"
_GARBAGE_BODY: Final = b'<html>{"id": "this is no JSON'
_GARBAGE_EVENT: Final = b'data: {"id": "this event breaks off \xff\xfe\n\ndata: ]['
_LOOPBACK: Final = ("127.", "::1", "::ffff:127.")


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One call at its place, while it is being answered."""

    place: Place
    call: Call

    @property
    def dialect(self) -> Dialect:
        return self.place.dialect

    def answer_headers(self) -> Headers:
        return self.dialect.headers(self.call.request_id)


class Simulator:
    """The application; all its state is in memory."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._calls = CallLog()
        self._control = Control(self._calls, sleep)
        self._directory = Directory()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path = environ["PATH_INFO"]
        if path.startswith("/_control"):
            return self._answer_control(environ, start_response)
        headers = _header_map(environ)
        call = Call(
            request_id=f"req_{token_hex(12)}",
            method=environ["REQUEST_METHOD"],
            path=path,
            query=environ["QUERY_STRING"],
            headers=headers,
            body=environ["wsgi.input"].read(),
        )
        self._calls.add(call)
        place = self._directory.find(path, call.query, headers)
        response = self._respond(_Exchange(place, call))
        call.status = response.status
        start_response(_status_line(response.status), response.headers)
        client: Client = environ[CLIENT_KEY]
        return Delivery(response, call, client)

    def _answer_control(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        if not environ["REMOTE_ADDR"].startswith(_LOOPBACK):
            start_response(_status_line(HTTPStatus.FORBIDDEN), [("Content-Length", "0")])
            return []
        answer = self._control.answer(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"].rstrip("/"),
            environ["QUERY_STRING"],
            environ["wsgi.input"].read(),
        )
        body = json_bytes(answer.value)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(_status_line(answer.status), headers)
        return [body]

    def _respond(self, exchange: _Exchange) -> Response:
        call, dialect = exchange.call, exchange.dialect
        scenario = HEALTHY
        try:
            dialect.check_headers(call.headers)
            found = dialect.look_up(call.method, exchange.place.path)
            if found is not None:
                return _found(exchange, found)
            if call.method != "POST":
                raise _wrong_route(exchange)
            body = _read_json(exchange)
            recorded = self._recorded_answer(call, body)
            if recorded is not None:
                return recorded
            endpoint = dialect.endpoints.get(exchange.place.path)
            if endpoint is None:
                raise _wrong_route(exchange)
            scenario = self._scenario(exchange, body)
            return _answer(exchange, endpoint, body, scenario)
        except ApiError as error:
            return _error_response(exchange, error, scenario)

    def _recorded_answer(self, call: Call, body: JsonObject) -> Response | None:
        answer = self._control.recorded.take_first(call.model, prompt_of(body))
        return None if answer is None else _recorded_response(answer)

    def _scenario(self, exchange: _Exchange, body: JsonObject) -> Scenario:
        prompt = prompt_of(body)
        faults = self._control.faults.take_all(exchange.call.model, prompt)
        try:
            return parse_scenario(" ".join([*faults, prompt]))
        except ScenarioError as error:
            raise exchange.dialect.bad_value(str(error)) from error


def _header_map(environ: WSGIEnvironment) -> dict[str, str]:
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    for name in ("content-type", "content-length"):
        value = environ.get(name.replace("-", "_").upper())
        if value:
            headers[name] = value
    return headers


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


def _found(exchange: _Exchange, value: JsonObject) -> Response:
    headers, parts = json_body(json_bytes(value), HEALTHY)
    return Response(status=HTTPStatus.OK, headers=exchange.answer_headers() + headers, parts=parts)


def _read_json(exchange: _Exchange) -> JsonObject:
    """Parse the body, and log what it asks for; a model in the path is as good as one in there."""
    try:
        body = orjson.loads(exchange.call.body)
    except orjson.JSONDecodeError as error:
        raise exchange.dialect.bad_json() from error
    if not isinstance(body, dict):
        raise exchange.dialect.bad_json()
    if exchange.place.model is not None:
        body["model"] = exchange.place.model
    model = body.get("model")
    exchange.call.model = model if isinstance(model, str) else None
    exchange.call.is_stream = body.get("stream") is True
    return body


def _wrong_route(exchange: _Exchange) -> ApiError:
    method, path = exchange.call.method, exchange.place.path
    if path in exchange.dialect.endpoints:
        return exchange.dialect.wrong_method(method, path)
    return exchange.dialect.no_such_path(method, path)


def _answer(
    exchange: _Exchange, endpoint: Endpoint, body: JsonObject, scenario: Scenario
) -> Response:
    request = endpoint.read(body)
    if scenario.status is not None:
        raise exchange.dialect.failure(scenario.status, request.model)
    if scenario.is_redirect:
        return _redirect(exchange, scenario)
    reply = endpoint.reply(request, scenario)
    written = endpoint.write(reply, exchange.call.request_id)
    if isinstance(written, EventStream):
        return Response(
            status=HTTPStatus.OK,
            headers=exchange.answer_headers() + event_stream_headers(),
            parts=_broken(written.parts) if scenario.is_garbage else written.parts,
            scenario=scenario,
            error_event=written.error_event,
            billed=reply.usage_after,
        )
    headers, parts = json_body(_GARBAGE_BODY if scenario.is_garbage else written, scenario)
    return Response(
        status=HTTPStatus.OK,
        headers=exchange.answer_headers() + headers,
        parts=parts,
        scenario=scenario,
        billed=(lambda _sent_chunks: reply.usage) if endpoint.is_billed else None,
    )


def _broken(parts: Iterable[Part]) -> Iterable[Part]:
    """Open a stream well, then break off within an event."""
    for part in parts:
        if part.kind is not PartKind.OPENING:
            break
        yield part
    yield Part(PartKind.CLOSING, _GARBAGE_EVENT)


def _redirect(exchange: _Exchange, scenario: Scenario) -> Response:
    return Response(
        status=HTTPStatus.FOUND,
        headers=[*exchange.answer_headers(), ("Location", _NOWHERE), ("Content-Length", "0")],
        parts=[],
        scenario=scenario,
    )


def _recorded_response(answer: RecordedAnswer) -> Response:
    parts = [Part(PartKind.CONTENT, chunk) for chunk in answer.chunks]
    scenario = HEALTHY
    if answer.is_reset:
        # Where the cut is made: a cut comes before a part, never after the last one.
        parts.append(Part(PartKind.CLOSING, b""))
        scenario = Scenario(cut_after=len(answer.chunks))
    return Response(status=answer.status, headers=answer.headers, parts=parts, scenario=scenario)


def _error_response(exchange: _Exchange, error: ApiError, scenario: Scenario) -> Response:
    body = exchange.dialect.error_body(error, exchange.call.request_id)
    headers, parts = json_body(json_bytes(body), scenario)
    return Response(
        status=error.status,
        headers=exchange.answer_headers() + error.headers + headers,
        parts=parts,
        scenario=scenario,
    )
