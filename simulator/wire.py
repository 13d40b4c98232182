"""What a dialect hands over to be sent: parts of a body, and errors that become bodies."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

import orjson

from simulator.request import JsonObject
from simulator.scenario import HEALTHY, Scenario
from simulator.usage import Usage

Headers = list[tuple[str, str]]


class PartKind(Enum):
    """Where in an answer a part stands; faults count the content parts."""

    OPENING = auto()
    CONTENT = auto()
    CLOSING = auto()


class Part(NamedTuple):
    """Some bytes of a body."""

    kind: PartKind
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """All that is needed to send an answer and to bill it.

    ``billed`` tells the usage after so many content parts went out; an answer without it is not
    billed. ``error_event`` writes what a stream says instead of its rest when it fails in the
    middle.
    """

    status: int
    headers: Headers
    parts: Iterable[Part]
    scenario: Scenario = HEALTHY
    error_event: Callable[[], bytes] | None = None
    billed: Callable[[int], Usage] | None = None

    @property
    def is_stream(self) -> bool:
        """Whether this is a stream of events of ours."""
        return self.error_event is not None


@dataclass(frozen=True, slots=True)
class EventStream:
    """An answer as events, and the event that ends it if it fails in the middle."""

    parts: Iterable[Part]
    error_event: Callable[[], bytes]


@dataclass(eq=False, slots=True, kw_only=True)
class ApiError(Exception):
    """An error that a vendor would answer with; ``kind`` is its ``type`` in the body."""

    status: int
    kind: str
    message: str
    param: str | None = None
    code: str | None = None
    headers: Headers = field(default_factory=list)


def json_bytes(value: object) -> bytes:
    """Write compact JSON."""
    return orjson.dumps(value)


def event_stream_headers() -> Headers:
    """Make the headers of a stream."""
    return [("Content-Type", "text/event-stream; charset=utf-8"), ("Cache-Control", "no-cache")]


def json_body(data: bytes, scenario: Scenario) -> tuple[Headers, list[Part]]:
    """Make the headers and parts of an answer that is not streamed.

    It goes out as one piece, unless the scenario breaks it off and so needs a middle.
    """
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
    if scenario.cut_after is None and scenario.stall_after is None:
        return headers, [Part(PartKind.CONTENT, data)]
    middle = len(data) // 2
    halves = [Part(PartKind.CONTENT, data[:middle]), Part(PartKind.CLOSING, data[middle:])]
    return headers, halves


def data_event(value: object) -> bytes:
    """Write a server-sent event without a name, as OpenAI does."""
    return b"data: %b\n\n" % orjson.dumps(value)


def named_event(name: str, value: JsonObject) -> bytes:
    """Write a server-sent event with its name, as Anthropic does."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(value))
