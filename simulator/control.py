"""``/_control``: what tests order beforehand and read afterwards. Loopback only.

======================================  ======================================================
``GET /_control``                       how many rules and calls there are
``DELETE /_control``                    forget rules and calls
``POST /_control/recorded``             ``{"match", "status"?, "headers"?, "body_b64" |
                                        "chunks_b64", "reset"?, "times"?}``: a raw answer; once
                                        by default; ``"reset": true`` breaks the connection after
                                        it instead of ending it
``POST /_control/fault``                ``{"match", "scenario", "times"?}``: markers for calls
                                        whose prompt cannot be changed; until cleared by default
``GET /_control/calls?wait=SECONDS``    the calls (``CallFacts``), after all have ended or the
                                        time is up
``DELETE /_control/calls``              forget the calls
======================================  ======================================================

``match`` is ``{"model": NAME}``, ``{"marker": TEXT}``, both, or ``{}`` for any call; ``times``
null means until cleared. A marker is any text in the last user message, or in the input or prompt
of an address without messages. Recorded answers come before everything but the check of the
credential, on any path that something is posted to; header values may be lists.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import parse_qs

import orjson

from simulator.calls import CallLog
from simulator.request import JsonObject
from simulator.rules import Match, RecordedAnswer, Rule, RuleList
from simulator.scenario import ScenarioError, parse_scenario, unknown_markers
from simulator.wire import Headers

_LONGEST_WAIT_SECONDS: Final = 60.0


class ControlAnswer(NamedTuple):
    """A status and a JSON value."""

    status: HTTPStatus
    value: object


class _BadOrderError(ValueError):
    """An order that cannot be understood; the text says why."""


class Control:
    """The rules and the calls, and the requests that change them."""

    def __init__(self, calls: CallLog, sleep: Callable[[float], None]) -> None:
        self._calls = calls
        self._sleep = sleep
        self.recorded: RuleList[RecordedAnswer] = RuleList()
        self.faults: RuleList[str] = RuleList()
        self._routes: dict[tuple[str, str], Callable[[str, bytes], object]] = {
            ("GET", "/_control"): self._counts,
            ("DELETE", "/_control"): self._clear,
            ("POST", "/_control/recorded"): self._record,
            ("POST", "/_control/fault"): self._add_fault,
            ("GET", "/_control/calls"): self._list_calls,
            ("DELETE", "/_control/calls"): self._clear_calls,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> ControlAnswer:
        """Carry out one request."""
        route = self._routes.get((method, path))
        if route is None:
            return ControlAnswer(HTTPStatus.NOT_FOUND, {"error": f"no {method} {path}"})
        try:
            return ControlAnswer(HTTPStatus.OK, route(query, body))
        except _BadOrderError as error:
            return ControlAnswer(HTTPStatus.BAD_REQUEST, {"error": str(error)})

    def _counts(self, _query: str, _body: bytes) -> JsonObject:
        return {
            "recorded": len(self.recorded),
            "faults": len(self.faults),
            "calls": len(self._calls),
        }

    def _clear(self, query: str, body: bytes) -> JsonObject:
        self.recorded.clear()
        self.faults.clear()
        return self._clear_calls(query, body)

    def _clear_calls(self, query: str, body: bytes) -> JsonObject:
        self._calls.clear()
        return self._counts(query, body)

    def _record(self, query: str, body: bytes) -> JsonObject:
        order = _object(body)
        answer = _recorded_answer(order)
        self.recorded.add(Rule(_match(order), answer, _times(order, 1)))
        return self._counts(query, body)

    def _add_fault(self, query: str, body: bytes) -> JsonObject:
        order = _object(body)
        self.faults.add(Rule(_match(order), _markers(order), _times(order, None)))
        return self._counts(query, body)

    def _list_calls(self, query: str, _body: bytes) -> object:
        self._calls.wait(_wait_seconds(query), self._sleep)
        return self._calls.facts()


def _object(body: bytes) -> JsonObject:
    try:
        order = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _BadOrderError(f"not JSON: {error}") from error
    if not isinstance(order, dict):
        raise _BadOrderError("not a JSON object")
    return order


def _match(order: JsonObject) -> Match:
    match = order.get("match")
    if not isinstance(match, dict) or not match.keys() <= {"model", "marker"}:
        raise _BadOrderError('match must be an object with "model", "marker", both or neither')
    if not all(isinstance(value, str) for value in match.values()):
        raise _BadOrderError("what is matched must be text")
    return Match(**match)


def _times(order: JsonObject, default: int | None) -> int | None:
    times = order.get("times", default)
    if times is not None and (not isinstance(times, int) or times < 1):
        raise _BadOrderError("times must be a positive number or null")
    return times


def _markers(order: JsonObject) -> str:
    markers = order.get("scenario")
    if not isinstance(markers, str):
        raise _BadOrderError("scenario must be text with markers")
    unknown = unknown_markers(markers)
    if unknown or "[[" not in markers:
        raise _BadOrderError(f"no such marker: {' '.join(unknown) or markers}")
    try:
        parse_scenario(markers)
    except ScenarioError as error:
        raise _BadOrderError(str(error)) from error
    return markers


def _recorded_answer(order: JsonObject) -> RecordedAnswer:
    status = order.get("status", int(HTTPStatus.OK))
    if not isinstance(status, int):
        raise _BadOrderError("status must be a number")
    body, chunks = order.get("body_b64"), order.get("chunks_b64")
    if (body is None) == (chunks is None):
        raise _BadOrderError("one of body_b64 and chunks_b64 is needed")
    reset = order.get("reset", False)
    if not isinstance(reset, bool):
        raise _BadOrderError("reset must be true or false")
    raw = [_bytes(chunk) for chunk in (chunks if isinstance(chunks, list) else [body])]
    headers = _headers(order)
    names = {name.lower() for name, _ in headers}
    if "content-type" not in names:
        kind = "application/json" if chunks is None else "text/event-stream; charset=utf-8"
        headers.append(("Content-Type", kind))
    if chunks is None and "content-length" not in names:
        headers.append(("Content-Length", str(len(raw[0]))))
    return RecordedAnswer(status, headers, tuple(raw), is_reset=reset)


def _bytes(text: object) -> bytes:
    try:
        return b64decode(text, validate=True) if isinstance(text, str) else _no_base64()
    except binascii.Error:
        return _no_base64()


def _no_base64() -> bytes:
    raise _BadOrderError("body_b64 and the items of chunks_b64 must be base64")


def _headers(order: JsonObject) -> Headers:
    headers = order.get("headers", {})
    if not isinstance(headers, dict):
        raise _BadOrderError("headers must be an object")
    return [
        (name, str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _wait_seconds(query: str) -> float:
    text = parse_qs(query).get("wait", ["0"])[-1]
    try:
        return min(float(text), _LONGEST_WAIT_SECONDS)
    except ValueError as error:
        raise _BadOrderError("wait must be a number of seconds") from error
