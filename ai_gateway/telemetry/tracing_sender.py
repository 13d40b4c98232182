"""Sends traces from a thread of its own (a greenlet under gevent): the only one that ever waits.

What cannot be sent for a while is tried again; what cannot be sent at all is counted.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from itertools import count
from threading import Event, Lock, Thread
from time import monotonic
from typing import Protocol

from ai_gateway.domain.clock import Clock
from ai_gateway.telemetry.metrics_export import Loss
from ai_gateway.telemetry.observer import SettledCall
from ai_gateway.telemetry.tracing_answer import Json
from ai_gateway.telemetry.tracing_queue import TraceCounts, TraceQueue

logger = logging.getLogger(__name__)


class Verdict(Enum):
    """What became of a batch."""

    TAKEN = auto()
    BAD_RUN = auto()
    """At least one run of it is at fault."""
    TOO_LARGE = auto()
    REFUSED = auto()
    """So would be every other batch: the key or the address is wrong."""
    LATER = auto()


@dataclass(frozen=True, slots=True)
class Delivery:
    """The answer to a batch; `error` is the class of what went wrong, never its text."""

    verdict: Verdict
    error: str | None = None
    retry_after: float | None = None


class Sink(Protocol):
    """Where runs go. `send` may wait, but not without a bound."""

    def run(self, fact: SettledCall) -> Json: ...

    def send(self, runs: Sequence[Json]) -> Delivery: ...


@dataclass(frozen=True, slots=True)
class SenderPace:
    """All in seconds. After a refusal every further try would be refused as well."""

    gather: float = 0.5
    first_wait: float = 0.5
    longest_wait: float = 30.0
    give_up: float = 300.0
    refused: float = 60.0
    drain: float = 3.0
    report: float = 10.0


USUAL_PACE = SenderPace()


@dataclass(frozen=True, slots=True)
class SenderReport:
    """How a worker's sending goes; `error` is None as soon as something was sent again."""

    at: datetime
    counts: TraceCounts
    error: str | None
    sent_at: datetime | None


class TraceSender:
    """Made in the worker; the thread starts with the first call, after the fork.

    `make_sink` is called in the thread; `report` is told how it goes, and may fail.
    """

    def __init__(
        self,
        queue: TraceQueue,
        make_sink: Callable[[], Sink],
        report: Callable[[SenderReport], object],
        *,
        clock: Clock,
        pace: SenderPace = USUAL_PACE,
    ) -> None:
        self._queue = queue
        self._make_sink = make_sink
        self._report = report
        self._clock = clock
        self._pace = pace
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stop = Event()
        self._error: str | None = None
        self._sent_at: datetime | None = None

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="tracing", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Send what is held for a bounded time, and count the rest as lost."""
        self._stop.set()
        self._queue.close()
        if self._thread is not None:
            self._thread.join(self._pace.drain)
        self._queue.abandon()

    def state(self) -> SenderReport:
        return SenderReport(self._clock(), self._queue.counts(), self._error, self._sent_at)

    def _run(self) -> None:
        sink: Sink | None = None
        while self._is_to_go_on():
            self._tell()
            batch = self._queue.take(patience=self._pace.report, gather=self._pace.gather)
            try:
                sink = sink or self._make_sink()
                if batch:
                    self._deliver(sink, batch)
            except Exception as error:  # noqa: BLE001 - nothing may end the thread
                # Its text may have a part of the key or of a prompt.
                self._error = type(error).__name__
                logger.error("tracing_failed", extra={"error": self._error})
                self._queue.lost(batch, Loss.REJECTED)

    def _is_to_go_on(self) -> bool:
        """To the end of the queue at a stop, as long as it can be sent at once."""
        if not self._stop.is_set():
            return True
        return self._error is None and self._queue.counts().held > 0

    def _deliver(self, sink: Sink, batch: list[SettledCall]) -> None:
        give_up_at = monotonic() + self._pace.give_up
        runs = [sink.run(fact) for fact in batch]
        for attempt in count():
            delivery = self._send(sink, runs)
            match delivery.verdict:
                case Verdict.TAKEN:
                    self._queue.sent(batch)
                case Verdict.REFUSED:
                    self._queue.lost(batch, Loss.AUTH)
                    self._stop.wait(self._pace.refused)
                case Verdict.BAD_RUN | Verdict.TOO_LARGE:
                    self._isolate(sink, batch, delivery.verdict)
                case Verdict.LATER:
                    if self._stop.is_set():
                        return
                    if monotonic() < give_up_at:
                        self._stop.wait(self._wait(attempt, delivery))
                        continue
                    self._queue.lost(batch, Loss.GAVE_UP)
            return

    def _isolate(self, sink: Sink, batch: list[SettledCall], verdict: Verdict) -> None:
        """A bad run takes no other with it."""
        if len(batch) == 1:
            loss = Loss.TOO_LARGE if verdict is Verdict.TOO_LARGE else Loss.REJECTED
            self._queue.lost(batch, loss)
            return
        half = len(batch) // 2
        self._deliver(sink, batch[:half])
        self._deliver(sink, batch[half:])

    def _send(self, sink: Sink, runs: list[Json]) -> Delivery:
        delivery = sink.send(runs)
        if delivery.verdict is Verdict.TAKEN:
            self._sent_at = self._clock()
        before, self._error = self._error, delivery.error
        if self._error != before:
            if self._error:
                logger.warning("traces_not_sent", extra={"error": self._error})
            else:
                logger.info("traces_sent_again")
        if self._error or before:
            # Trouble is told at once and at each try; how it goes well, before the next batch.
            self._tell()
        return delivery

    def _wait(self, attempt: int, delivery: Delivery) -> float:
        longest = self._pace.longest_wait
        if delivery.retry_after is not None:
            return min(delivery.retry_after, longest)
        wait: float = min(self._pace.first_wait * 2.0 ** min(attempt, 10), longest)
        return wait * random.uniform(0.5, 1)  # noqa: S311 - spreads workers, hides nothing

    def _tell(self) -> None:
        try:
            self._report(self.state())
        except Exception:
            # The thread must outlive whatever happens to those who listen.
            logger.exception("tracing_report_failed")
