"""The rest of a streamed answer: event by event to the client, and settled exactly once.

The end of a stream is this object's `close()`, which the server calls however the answer ends. A
plain generator that is closed before its first chunk would never run its `finally`.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock, Semaphore, Thread
from time import monotonic, perf_counter

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.usage import Reading
from ai_gateway.errors import CallEnded, UpstreamError, UpstreamUnavailable
from ai_gateway.providers.dialect import StreamReader
from ai_gateway.providers.sse import EventTooLong
from ai_gateway.providers.transport import UpstreamResponse
from ai_gateway.services.admission import Admitted
from ai_gateway.services.open_calls import EndReason, OpenCall, OpenCalls
from ai_gateway.services.outcomes import upstream_outcome
from ai_gateway.services.settlement import Settlement, Timing
from ai_gateway.services.stored_responses import StoredResponses
from ai_gateway.services.transcript import NoTranscript, Transcript

logger = logging.getLogger(__name__)

PING_SECONDS = 10
"""A client hears something at least so often, and one that has left is noticed by it."""

PING = b": ping\n\n"
"""A comment, which every reader of server-sent events skips."""

DRAIN_SECONDS = 60
DRAINS_AT_ONCE = 200


class Drains:
    """How many abandoned streams are read to their end for their exact usage; bounded."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on
        self._free = Semaphore(DRAINS_AT_ONCE)

    def enter(self) -> bool:
        """Take a place; False where draining is off or all places are taken."""
        return self._is_on and self._free.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()


@dataclass(frozen=True, slots=True)
class CallEnding:
    """The parts that end calls, shared by all calls of a worker."""

    settlement: Settlement
    open_calls: OpenCalls
    drains: Drains
    stored: StoredResponses
    ping_seconds: float = PING_SECONDS
    transcript: Callable[[bytes], Transcript] = NoTranscript


@dataclass(frozen=True, slots=True)
class Upstream:
    """The answer of a provider as it comes, and what finds out what it tells."""

    response: UpstreamResponse
    reader: StreamReader


class RelayedStream:
    """Iterates over what goes to the client; raises `UpstreamError` where it breaks off.

    Whoever writes reads the provider too, no longer than until the client has to hear something:
    so it is told in a silence that the stream is alive, and is seen to have left. Only when it has
    left before the end, a thread of its own (a greenlet under gevent) reads the rest.
    """

    def __init__(
        self,
        admitted: Admitted,
        upstream: Upstream,
        transcript: Transcript,
        *,
        timing: Timing,
        ending: CallEnding,
    ) -> None:
        self._admitted = admitted
        self._response = upstream.response
        self._reader = reader = upstream.reader
        self._transcript = transcript
        self._timing = timing
        self._ending = ending
        self._has_ended = False
        self._reason: EndReason | None = None
        self._failure: UpstreamError | None = None
        self._fault: Exception | None = None
        self._is_drained = False
        self._stored_id: str | None = None
        self._settled = Lock()
        self._open_call = OpenCall(admitted, lambda: reader.text_bytes, self._end)
        ending.open_calls.enter(self._open_call)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next events for the client, as soon as they are whole."""
        if self._is_over():
            raise StopIteration
        part = self._next_events()
        if part is None:
            return PING
        if part:
            return part
        failure = self._failure_at_end()
        if failure is None:
            self._settle(self._outcome_told())
            raise StopIteration
        self._settle(upstream_outcome(failure))
        raise failure

    def close(self) -> None:
        """Settle what is not settled yet: the client left, or has its last byte."""
        if self._is_over():
            return
        if self._reader.is_complete:
            self._leave(self._outcome_told())
        elif self._has_ended or not self._ending.drains.enter():
            self._leave(Outcome.CANCELLED)
        else:
            self._is_drained = True
            self._open_call.deadline = monotonic() + DRAIN_SECONDS
            Thread(target=self._drain, name="relay", daemon=True).start()

    def _is_over(self) -> bool:
        """Whether it is settled, or the client has left it to a thread of its own."""
        return self._is_drained or self._settled.locked()

    def _drain(self) -> None:
        """Read the provider to the end of its stream, for the exact usage."""
        while not (self._has_ended or self._reader.is_complete):
            self._next_events()
        self._leave(Outcome.CANCELLED)

    def _leave(self, outcome: Outcome) -> None:
        self._end_reading()
        self._settle(outcome)

    def _next_events(self) -> bytes | None:
        """All whole events that have arrived; None in a silence, empty at the end of any kind."""
        if self._has_ended:
            return b""
        try:
            return self._read_events()
        except UpstreamError as error:
            self._failure = error
        except EventTooLong:
            self._failure = UpstreamUnavailable(
                self._admitted.call.provider, was_sent=True, is_invalid=True
            )
        except Exception as fault:
            # The outermost handler of the relay: the stream has no end, and that is our fault.
            self._fault = fault
            self._reason = self._reason or EndReason.FAULT
            logger.exception("relay_failed", extra={"request_id": self._admitted.call.request_id})
        self._end_reading()
        return b""

    def _read_events(self) -> bytes | None:
        silent_at = monotonic() + self._ending.ping_seconds
        events = b""
        while not events:
            chunk = self._response.read_within(silent_at - monotonic())
            if chunk is None:
                return None
            if not chunk:
                self._end_reading()
                return self._rest()
            events = self._reader.feed(chunk)
            self._remember()
            if self._timing.first_content is None and self._reader.has_content:
                self._timing = replace(self._timing, first_content=perf_counter())
        self._transcript.add(events)
        return events

    def _end_reading(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._response.close()

    def _remember(self) -> None:
        """Who gets the answer, before they learn its name: they may go on from it at once."""
        if self._reader.stored_id != self._stored_id:
            self._stored_id = self._reader.stored_id
            self._ending.stored.remember(self._admitted, self._stored_id)

    def _rest(self) -> bytes:
        rest = self._reader.rest()
        # An event that broke off would swallow the error event that is sent after it.
        return rest if self._failure_at_end() is None else b""

    def _end(self, reason: EndReason) -> None:
        self._reason = self._reason or reason
        self._response.interrupt()

    def _failure_at_end(self) -> UpstreamError | None:
        """A stream that stops without its proper end has failed, though no error was seen."""
        provider = self._admitted.call.provider
        if self._reader.is_complete or self._reader.has_failed:
            return None
        if self._reason is not None:
            return CallEnded(provider, self._reason)
        return self._failure or UpstreamUnavailable(
            provider, was_sent=True, is_invalid=self._response.tells_its_end
        )

    def _outcome_told(self) -> Outcome:
        """The outcome of a stream that the provider ended by itself."""
        return Outcome.UPSTREAM_ERROR if self._reader.has_failed else Outcome.SUCCESS

    def _settle(self, outcome: Outcome) -> None:
        if not self._settled.acquire(blocking=False):
            return
        reading: Reading = self._reader.reading()
        failure = self._fault or self._failure_at_end() if outcome.is_failure else None
        story = self._transcript.story(failure)
        try:
            self._ending.settlement.settle(
                self._admitted, reading, outcome=outcome, timing=self._timing, story=story
            )
        finally:
            self._ending.open_calls.leave(self._admitted.call.request_id)
            if self._is_drained:
                self._ending.drains.leave()
