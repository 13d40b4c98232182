"""The rest of a streamed answer: event by event to the client, and settled exactly once.

The end of a stream is this object's `close()`, which the server calls however the answer ends. A
plain generator that is closed before its first chunk would never run its `finally`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Semaphore, Thread
from time import monotonic, perf_counter

from ai_gateway.domain.call import Outcome
from ai_gateway.domain.usage import Reading
from ai_gateway.errors import (
    GatewayError,
    StreamEnded,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ai_gateway.providers.dialect import StreamReader
from ai_gateway.providers.transport import UpstreamResponse
from ai_gateway.services.admission import Admitted
from ai_gateway.services.open_calls import EndReason, OpenCall, OpenCalls
from ai_gateway.services.settlement import Settlement, Timing

DRAIN_SECONDS = 60
DRAINS_AT_ONCE = 200


class Drains:
    """Reads the rest of abandoned streams for their exact usage, bounded in number and time."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on
        self._free = Semaphore(DRAINS_AT_ONCE)

    def start(self, drain: Callable[[], None]) -> bool:
        """Run `drain` beside the requests; False where that is off or all places are taken."""
        if not self._is_on or not self._free.acquire(blocking=False):
            return False
        Thread(target=self._run, args=(drain,), name="drain", daemon=True).start()
        return True

    def _run(self, drain: Callable[[], None]) -> None:
        try:
            drain()
        finally:
            self._free.release()


@dataclass(frozen=True, slots=True)
class CallEnding:
    """The parts that end calls, shared by all calls of a worker."""

    settlement: Settlement
    open_calls: OpenCalls
    drains: Drains


class RelayedStream:
    """Iterates over what goes to the client; raises `UpstreamError` where it breaks off."""

    def __init__(
        self,
        admitted: Admitted,
        response: UpstreamResponse,
        reader: StreamReader,
        *,
        timing: Timing,
        ending: CallEnding,
    ) -> None:
        self._admitted = admitted
        self._response = response
        self._reader = reader
        self._timing = timing
        self._ending = ending
        self._reason: EndReason | None = None
        self._is_settled = False
        self._is_at_end = False
        self._open_call = OpenCall(admitted, lambda: reader.text_bytes, self._end)
        ending.open_calls.enter(self._open_call)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next events for the client, as soon as they are whole."""
        if self._is_settled:
            raise StopIteration
        while not self._is_at_end:
            try:
                out = self._advance()
            except UpstreamError as error:
                raise self._broken_off(error) from error
            if out:
                return out
        failure = self._failure_at_end()
        if failure is not None:
            raise self._broken_off(failure)
        self._settle(self._outcome_told())
        raise StopIteration

    def close(self) -> None:
        """Settle what is not settled yet: the client left, or has its last byte."""
        if self._is_settled:
            return
        if self._reader.is_complete:
            self._settle(self._outcome_told())
            return
        self._open_call.deadline = monotonic() + DRAIN_SECONDS
        if not self._ending.drains.start(self._drain):
            self._settle(Outcome.CANCELLED)

    def _advance(self) -> bytes:
        chunk = self._response.read_some()
        if not chunk:
            self._is_at_end = True
            rest = self._reader.rest()
            # An event that broke off would swallow the error event that is sent after it.
            return rest if self._failure_at_end() is None else b""
        out = self._reader.feed(chunk)
        if self._timing.first_content is None and self._reader.has_content:
            self._timing = replace(self._timing, first_content=perf_counter())
        return out

    def _drain(self) -> None:
        try:
            while not self._is_at_end and not self._reader.is_complete:
                self._advance()
        except UpstreamError:
            # What was read so far is what is known.
            pass
        finally:
            self._settle(Outcome.CANCELLED)

    def _end(self, reason: EndReason) -> None:
        self._reason = self._reason or reason
        self._response.interrupt()

    def _failure_at_end(self) -> GatewayError | None:
        """A stream that stops without its proper end has failed, though no error was seen."""
        provider = self._admitted.call.provider
        if self._reason is not None:
            return StreamEnded(provider, self._reason)
        if self._reader.is_complete or self._reader.has_failed:
            return None
        return UpstreamUnavailable(provider, was_sent=True)

    def _outcome_told(self) -> Outcome:
        """The outcome of a stream that the provider ended by itself."""
        return Outcome.UPSTREAM_ERROR if self._reader.has_failed else Outcome.SUCCESS

    def _broken_off(self, error: GatewayError) -> GatewayError:
        if self._reason is not None:
            error = StreamEnded(self._admitted.call.provider, self._reason)
            self._settle(Outcome.GATEWAY_ERROR)
        elif isinstance(error, UpstreamTimeout):
            self._settle(Outcome.UPSTREAM_TIMEOUT)
        else:
            self._settle(Outcome.UPSTREAM_ERROR)
        return error

    def _settle(self, outcome: Outcome) -> None:
        if self._is_settled:
            return
        self._is_settled = True
        self._response.close()
        reading: Reading = self._reader.reading()
        try:
            self._ending.settlement.settle(
                self._admitted, reading, outcome=outcome, timing=self._timing
            )
        finally:
            self._ending.open_calls.leave(self._admitted.call.request_id)
