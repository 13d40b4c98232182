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
from ai_gateway.services.handoff import Handoff
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

    A thread of its own (a greenlet under gevent) reads the provider, so that the one that writes
    can tell the client in a silence that the stream is alive, and sees whether it has left. The
    writer settles, or, where the client left before the end, the reader.
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
        self._handoff = Handoff()
        self._reason: EndReason | None = None
        self._failure: UpstreamError | None = None
        self._fault: Exception | None = None
        self._outcome_for_leaver = Outcome.CANCELLED
        self._is_drained = False
        self._stored_id: str | None = None
        self._settled = Lock()
        self._open_call = OpenCall(admitted, lambda: reader.text_bytes, self._end)
        ending.open_calls.enter(self._open_call)
        Thread(target=self._read, name="relay", daemon=True).start()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next events for the client, as soon as they are whole."""
        if self._settled.locked():
            raise StopIteration
        part = self._handoff.take(self._ending.ping_seconds)
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
        if self._settled.locked():
            return
        if self._reader.is_complete and self._handoff.is_empty:
            self._outcome_for_leaver = self._outcome_told()
        elif not self._handoff.has_ended:
            self._is_drained = self._ending.drains.enter()
        self._open_call.deadline = monotonic() + DRAIN_SECONDS
        self._handoff.abandon()
        if self._handoff.has_ended:
            self._settle(self._outcome_for_leaver)
        elif not self._is_drained:
            self._response.interrupt()

    def _read(self) -> None:
        """Read the provider to the end of its stream, whether or not the client is still there."""
        try:
            self._read_all()
        except UpstreamError as error:
            self._failure = error
        except EventTooLong:
            self._failure = UpstreamUnavailable(self._admitted.call.provider, was_sent=True)
        except Exception as fault:
            # The outermost handler of this thread: the stream has no end, and that is our fault.
            self._fault = fault
            self._reason = self._reason or EndReason.FAULT
            logger.exception("relay_failed", extra={"request_id": self._admitted.call.request_id})
        finally:
            self._handoff.end()
            if self._handoff.is_abandoned:
                self._settle(self._outcome_for_leaver)

    def _read_all(self) -> None:
        try:
            while not (self._handoff.is_abandoned and self._reader.is_complete):
                chunk = self._response.read_some()
                if not chunk:
                    self._read_rest()
                    return
                events = self._reader.feed(chunk)
                self._remember()
                if self._timing.first_content is None and self._reader.has_content:
                    self._timing = replace(self._timing, first_content=perf_counter())
                if events:
                    self._transcript.add(events)
                    self._handoff.put(events)
        finally:
            self._response.close()

    def _remember(self) -> None:
        """Who gets the answer, before they learn its name: they may go on from it at once."""
        if self._reader.stored_id != self._stored_id:
            self._stored_id = self._reader.stored_id
            self._ending.stored.remember(self._admitted, self._stored_id)

    def _read_rest(self) -> None:
        rest = self._reader.rest()
        # An event that broke off would swallow the error event that is sent after it.
        if rest and self._failure_at_end() is None:
            self._handoff.put(rest)

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
        return self._failure or UpstreamUnavailable(provider, was_sent=True)

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
