"""A transport without sockets: it answers what a test tells it to, in the shape of the real one."""

from collections.abc import Mapping, Sequence
from threading import Event
from typing import cast

from ai_gateway.errors import UpstreamUnavailable
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.transport import Transport, UpstreamResponse

WAIT_SECONDS = 20.0
SILENCE = Event()
"""As a part of an answer: the provider says no more, and the reader waits to be interrupted."""

Part = bytes | Exception | Event
"""What one read gives: bytes, an error, or whatever comes once the event is set."""


class ScriptedResponse:
    """An answer whose reads give its parts one by one, and then the end."""

    def __init__(
        self, *parts: Part, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = {"content-type": "text/event-stream", **(headers or {})}
        self.tells_its_end = True
        self.closed = 0
        self.interrupted = Event()
        self.is_waited_for = Event()
        self._parts = list(parts)

    def read_some(self) -> bytes:
        part = self.read_within(WAIT_SECONDS)
        assert part is not None, "nobody went on"
        return part

    def read_within(self, seconds: float) -> bytes | None:
        if self.interrupted.is_set():
            raise UpstreamUnavailable("lab", was_sent=True)
        if not self._parts:
            return b""
        part = self._parts[0]
        if isinstance(part, Event):
            self.is_waited_for.set()
            waited_for = self.interrupted if part is SILENCE else part
            if not waited_for.wait(max(0.0, seconds)):
                return None
        self._parts.pop(0)
        if isinstance(part, Event):
            return self.read_within(seconds)
        if isinstance(part, Exception):
            raise part
        return part

    def read_all(self) -> bytes:
        body = b""
        while part := self.read_some():
            body += part
        return body

    def close(self) -> None:
        self.closed += 1

    def interrupt(self) -> None:
        self.interrupted.set()


class ScriptedTransport:
    """Gives out its answers in order and keeps the requests that it got."""

    def __init__(self) -> None:
        self.sent: list[UpstreamRequest] = []
        self.answers: list[ScriptedResponse | Exception] = []

    def send(self, request: UpstreamRequest) -> UpstreamResponse:
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast(UpstreamResponse, answer)

    def as_transport(self) -> Transport:
        return cast(Transport, self)


def events(*datas: bytes) -> Sequence[bytes]:
    """Each as an event of its own."""
    return [b"data: " + data + b"\n\n" for data in datas]
