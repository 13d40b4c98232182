"""Sending an answer, with the faults that its scenario asks for."""

from collections.abc import Iterable, Iterator
from typing import Final, NoReturn, Protocol

from simulator.calls import Call
from simulator.scenario import Scenario
from simulator.wire import Part, PartKind, Response

_LONGEST_STALL_SECONDS: Final = 600.0
# A stream without a pace must not keep the other ones waiting.
_PARTS_PER_TURN: Final = 16


class Client(Protocol):
    """The far end of the connection. Both methods raise ``ConnectionResetError`` when it is gone,
    which ends the delivery.
    """

    def pause(self, seconds: float) -> None:
        """Let time pass and others run, as long as the client is there."""

    def reset(self) -> NoReturn:
        """Break the connection so that the client sees a reset, not an end."""


class Delivery:
    """The body of an answer, as a WSGI server sends it; ``close`` settles the call.

    It is not a plain generator, as one that was never started would not settle.
    """

    def __init__(self, response: Response, call: Call, client: Client) -> None:
        self._response = response
        self._call = call
        self._client = client

    def __iter__(self) -> Iterator[bytes]:
        scenario = self._response.scenario
        if scenario.delay_seconds:
            self._client.pause(scenario.delay_seconds)
        pieces = self._with_faults(scenario)
        if scenario.uses_crlf and self._response.is_stream:
            pieces = (piece.replace(b"\n", b"\r\n") for piece in pieces)
        if scenario.split_bytes and self._response.is_stream:
            pieces = _in_pieces(pieces, scenario.split_bytes)
        yield from pieces
        self._call.is_finished = True

    def close(self) -> None:
        """Book the call as it ended."""
        if self._response.billed:
            self._call.usage = self._response.billed(self._call.sent_chunks)
        self._call.has_ended = True

    def _with_faults(self, scenario: Scenario) -> Iterator[bytes]:
        """Yield the bytes of each part; an empty piece means that what is held back must go."""
        for count, part in enumerate(self._response.parts):
            if part.kind is not PartKind.OPENING:
                if self._is_due(scenario.cut_after, part):
                    yield b""
                    self._client.reset()
                if self._is_due(scenario.stall_after, part):
                    yield b""
                    self._client.pause(_LONGEST_STALL_SECONDS)
                    self._client.reset()
                if self._response.error_event and self._is_due(scenario.error_after, part):
                    yield self._response.error_event()
                    return
            self._keep_pace(scenario, part, count)
            yield part.data
            if part.kind is PartKind.CONTENT:
                self._call.sent_chunks += 1
                if self._falls_silent(scenario):
                    yield b""
                    self._client.pause(scenario.silence_seconds)

    def _is_due(self, after: int | None, part: Part) -> bool:
        """Tell whether a fault happens before a part, at the latest when the content is over."""
        if after is None:
            return False
        return self._call.sent_chunks >= after or part.kind is PartKind.CLOSING

    def _falls_silent(self, scenario: Scenario) -> bool:
        is_first = self._call.sent_chunks == 1
        return bool(scenario.silence_seconds) and is_first and self._response.is_stream

    def _keep_pace(self, scenario: Scenario, part: Part, count: int) -> None:
        if scenario.pace_seconds:
            if part.kind is PartKind.CONTENT and self._call.sent_chunks:
                self._client.pause(scenario.pace_seconds)
        elif count % _PARTS_PER_TURN == _PARTS_PER_TURN - 1:
            self._client.pause(0.0)


def _in_pieces(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Cut bytes anew, whatever their bounds were."""
    pending = b""
    for chunk in chunks:
        pending += chunk
        while len(pending) >= size:
            yield pending[:size]
            pending = pending[size:]
        if not chunk:
            yield pending
            pending = b""
    yield pending
