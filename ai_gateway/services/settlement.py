"""Ends a call: usage -> cost -> one script. Exactly once for each call, on every path.

A settlement that Redis does not acknowledge stays in this worker's backlog until it does.
"""

import logging
from collections import deque
from dataclasses import dataclass
from threading import Lock
from time import monotonic, perf_counter

from ai_gateway.domain.call import AdmittedCall, FinishedCall, Outcome, StreamSide
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import BUDGETS, Scope
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.domain.working import Working
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.admission import Admitted
from ai_gateway.services.charging import Charging
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.outcomes import upstream_result
from ai_gateway.stores.meter import Meter
from ai_gateway.telemetry.observer import NO_STORY, Observers, SettledCall, Story

logger = logging.getLogger(__name__)

MAX_NAME = 160
MEMORY_CALLS = 20_000
MEMORY_SECONDS = 300

NOTHING_BILLED = Reading(UsageStatus.NOT_BILLED, Usage())
NOTHING_TOLD = Reading(UsageStatus.MISSING, Usage())


@dataclass(frozen=True, slots=True)
class Timing:
    """When the call came in, was sent on, was answered and gave content, by the monotonic clock."""

    started: float
    first_content: float | None = None
    sent: float | None = None
    answered: float | None = None

    def sent_now(self) -> "Timing":
        return Timing(self.started, self.first_content, perf_counter(), self.answered)

    def answered_now(self) -> "Timing":
        """The head of a good answer is there."""
        return Timing(self.started, self.first_content, self.sent, perf_counter())

    def overhead_us(self, settling: float) -> int | None:
        """What the gateway took for itself: before the call was sent on, and since `settling`.

        The last round trip to Redis carries this figure, so that it cannot be in it.
        """
        if self.sent is None:
            return None
        return round((self.sent - self.started + perf_counter() - settling) * 1_000_000)

    def latency_ms(self) -> int:
        return round((perf_counter() - self.started) * 1000)

    def ttft_ms(self) -> int | None:
        return self.since_start_ms(self.first_content)

    def told(self, working: Working, output_cap: int | None, upstream: str) -> Working:
        """The arithmetic of a charge, with what else explains the call."""
        return Working(
            working.basis,
            working.lines,
            working.stated,
            working.wanted,
            output_cap=output_cap,
            sent_ms=self.since_start_ms(self.sent),
            answered_ms=self.since_start_ms(self.answered),
            upstream=upstream,
        )

    def since_start_ms(self, moment: float | None) -> int | None:
        return None if moment is None else round((moment - self.started) * 1000)


class SettlementMemory:
    """What this worker settled lately, and what Redis had no record for any more.

    Bounded in number and time: it is for a Redis that loses its last seconds.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, AdmittedCall, FinishedCall]] = deque(maxlen=MEMORY_CALLS)
        self.lost: deque[tuple[AdmittedCall, FinishedCall]] = deque()

    def keep(self, call: AdmittedCall, finished: FinishedCall, *, is_booked: bool) -> None:
        if not is_booked:
            self.lost.append((call, finished))
            return
        now = monotonic()
        self._recent.append((now, call, finished))
        while self._recent[0][0] < now - MEMORY_SECONDS:
            self._recent.popleft()

    def recent(self) -> list[str]:
        """The request ids of what Redis has acknowledged."""
        return [call.request_id for _, call, _ in self._recent]

    def doubt_all(self) -> None:
        """Redis may have lost any of it: all has to be compared with the ledger."""
        self.lost.extend((call, finished) for _, call, finished in self._recent)
        self._recent.clear()


class Settlement:
    """Books finished calls."""

    def __init__(
        self,
        meter: Meter,
        *,
        counter: TokenCounter,
        observers: Observers,
        clock: Clock,
    ) -> None:
        self._meter = meter
        self._charging = Charging(counter)
        self._observers = observers
        self._clock = clock
        self._backlog: deque[tuple[AdmittedCall, FinishedCall]] = deque()
        self._backlog_lock = Lock()
        self.memory = SettlementMemory()

    def settle(
        self,
        admitted: Admitted,
        reading: Reading,
        *,
        outcome: Outcome,
        timing: Timing,
        story: Story = NO_STORY,
    ) -> Money:
        """Book a call by what its answer told; returns its cost."""
        settling = perf_counter()
        charge = self._charging.charge(admitted, reading)
        upstream = upstream_result(story.failure, reading)
        finished = FinishedCall(
            outcome=outcome,
            usage=charge.usage,
            usage_status=reading.status,
            confidence=charge.confidence,
            price_status=charge.price_status,
            price_row=charge.price.row_id if charge.price else "",
            served_model=(reading.served_model or admitted.call.model)[:MAX_NAME],
            raw_usage=reading.raw,
            latency_ms=timing.latency_ms(),
            ttft_ms=timing.ttft_ms(),
            settled_at=self._clock(),
            cost=charge.cost.total,
            overhead_us=timing.overhead_us(settling),
            provider_id=_plain(reading.provider_id),
            working=timing.told(charge.working, admitted.call.output_cap, upstream),
        )
        with self._backlog_lock:
            self._backlog.append((admitted.call, finished))
        self.work_off()
        fact = SettledCall(
            admitted.call,
            finished,
            charge.cost.by_kind(),
            story,
            upstream=upstream,
            aborted_by=_aborted_by(outcome, timing) if admitted.call.stream else None,
            allowed_by=_limited(admitted) - admitted.near,
            warned_by=admitted.near,
        )
        self._observers.settled(fact)
        return finished.cost

    def work_off(self) -> int:
        """Send what is not acknowledged yet, oldest first; returns how many are left."""
        while True:
            with self._backlog_lock:
                if not self._backlog:
                    return 0
                call, finished = self._backlog.popleft()
            try:
                is_known = self._meter.settle(call, finished)
            except BudgetUnavailable:
                with self._backlog_lock:
                    self._backlog.appendleft((call, finished))
                return len(self._backlog)
            self.memory.keep(call, finished, is_booked=is_known)


def _plain(name: str | None) -> str | None:
    """The name that a provider gave, unless it is none that a person could look for."""
    return name[:MAX_NAME] if name and name.isprintable() else None


def _limited(admitted: Admitted) -> frozenset[Scope]:
    """The scopes that have a budget."""
    pairs = zip(BUDGETS, admitted.limits, strict=True)
    return frozenset(budget.scope for budget, limit in pairs if limit.is_ceiling)


def _aborted_by(outcome: Outcome, timing: Timing) -> StreamSide | None:
    """Who ended a stream before its time; what never was answered is no stream."""
    return _SIDES.get(outcome) if timing.answered is not None else None


_SIDES = {
    Outcome.CANCELLED: StreamSide.CLIENT,
    Outcome.GATEWAY_ERROR: StreamSide.GATEWAY,
    Outcome.UPSTREAM_ERROR: StreamSide.UPSTREAM,
    Outcome.UPSTREAM_TIMEOUT: StreamSide.UPSTREAM,
}
