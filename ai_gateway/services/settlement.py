"""Ends a call: usage -> cost -> one script. Exactly once for each call, on every path.

A settlement that Redis does not acknowledge stays in this worker's backlog until it does.
"""

import logging
from collections import deque
from dataclasses import dataclass, replace
from threading import Lock
from time import monotonic, perf_counter

from ai_gateway.domain.call import FinishedCall, Outcome
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.money import Money
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.admission import Admitted
from ai_gateway.services.charging import Charging
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.models import ModelDirectory
from ai_gateway.stores.meter import Meter
from ai_gateway.telemetry.observer import Observers, SettledCall

logger = logging.getLogger(__name__)

MEMORY_CALLS = 20_000
MEMORY_SECONDS = 300

NOTHING_BILLED = Reading(UsageStatus.NOT_BILLED, Usage())
NOTHING_TOLD = Reading(UsageStatus.MISSING, Usage())


@dataclass(frozen=True, slots=True)
class Timing:
    """When the call came in, was sent on, and gave its first content, by the monotonic clock."""

    started: float
    first_content: float | None = None
    sent: float | None = None

    def sent_now(self) -> "Timing":
        return replace(self, sent=perf_counter())

    def overhead_us(self) -> int | None:
        """What the gateway took for itself before the provider was asked."""
        return None if self.sent is None else round((self.sent - self.started) * 1_000_000)

    def latency_ms(self) -> int:
        return round((perf_counter() - self.started) * 1000)

    def ttft_ms(self) -> int | None:
        if self.first_content is None:
            return None
        return round((self.first_content - self.started) * 1000)


class SettlementMemory:
    """What this worker settled lately, and what Redis had no record for any more.

    Bounded in number and time: it is for a Redis that loses its last seconds.
    """

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Admitted, FinishedCall]] = deque(maxlen=MEMORY_CALLS)
        self.lost: deque[tuple[Admitted, FinishedCall]] = deque()

    def keep(self, admitted: Admitted, finished: FinishedCall, *, is_booked: bool) -> None:
        if not is_booked:
            self.lost.append((admitted, finished))
            return
        now = monotonic()
        self._recent.append((now, admitted, finished))
        while self._recent[0][0] < now - MEMORY_SECONDS:
            self._recent.popleft()

    def doubt_all(self) -> None:
        """Redis may have lost any of it: all has to be compared with the ledger."""
        self.lost.extend((admitted, finished) for _, admitted, finished in self._recent)
        self._recent.clear()


class Settlement:
    """Books finished calls."""

    def __init__(
        self,
        meter: Meter,
        models: ModelDirectory,
        *,
        counter: TokenCounter,
        observers: Observers,
        clock: Clock,
    ) -> None:
        self._meter = meter
        self._charging = Charging(models, counter)
        self._observers = observers
        self._clock = clock
        self._backlog: deque[tuple[Admitted, FinishedCall]] = deque()
        self._backlog_lock = Lock()
        self.memory = SettlementMemory()

    def settle(
        self, admitted: Admitted, reading: Reading, *, outcome: Outcome, timing: Timing
    ) -> Money:
        """Book a call by what its answer told; returns its cost."""
        charge = self._charging.charge(admitted, reading)
        finished = FinishedCall(
            outcome=outcome,
            usage=charge.usage,
            usage_status=reading.status,
            confidence=charge.confidence,
            price_status=charge.price_status,
            price_row=charge.price.row_id if charge.price else "",
            served_model=(reading.served_model or admitted.call.model)[:160],
            raw_usage=reading.raw,
            latency_ms=timing.latency_ms(),
            ttft_ms=timing.ttft_ms(),
            settled_at=self._clock(),
            cost=charge.cost.total,
            overhead_us=timing.overhead_us(),
        )
        with self._backlog_lock:
            self._backlog.append((admitted, finished))
        self.work_off()
        self._observers.settled(SettledCall(admitted.call, finished, charge.cost.by_kind()))
        return finished.cost

    def work_off(self) -> int:
        """Send what is not acknowledged yet, oldest first; returns how many are left."""
        while True:
            with self._backlog_lock:
                if not self._backlog:
                    return 0
                admitted, finished = self._backlog.popleft()
            try:
                is_known = self._meter.settle(admitted.call, finished)
            except BudgetUnavailable:
                with self._backlog_lock:
                    self._backlog.appendleft((admitted, finished))
                return len(self._backlog)
            self.memory.keep(admitted, finished, is_booked=is_known)
