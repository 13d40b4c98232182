"""Ends a call: usage -> cost -> one script. Exactly once for each call, on every path.

A settlement that Redis does not acknowledge stays in this worker's backlog until it does.
"""

import logging
from collections import deque
from dataclasses import dataclass
from threading import Lock
from time import monotonic, perf_counter

from ai_gateway.domain.call import FinishedCall, Outcome, PriceStatus
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.pricing import NO_COST, Cost, PriceRow, cost_of, stated
from ai_gateway.domain.usage import Confidence, Reading, Usage, UsageStatus
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.admission import Admitted
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.models import ModelDirectory, Target
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.operator_prices import outranks
from ai_gateway.telemetry.observer import Observers, SettledCall

logger = logging.getLogger(__name__)

MEMORY_CALLS = 20_000
MEMORY_SECONDS = 300

NOTHING_BILLED = Reading(UsageStatus.NOT_BILLED, Usage())
NOTHING_TOLD = Reading(UsageStatus.MISSING, Usage())


@dataclass(frozen=True, slots=True)
class Timing:
    """When the call came in and when its first content went out, by the monotonic clock."""

    started: float
    first_content: float | None = None

    def latency_ms(self) -> int:
        return round((perf_counter() - self.started) * 1000)

    def ttft_ms(self) -> int | None:
        if self.first_content is None:
            return None
        return round((self.first_content - self.started) * 1000)


@dataclass(frozen=True, slots=True)
class _Charge:
    usage: Usage
    cost: Cost
    confidence: Confidence


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
        self._models = models
        self._counter = counter
        self._observers = observers
        self._clock = clock
        self._backlog: deque[tuple[Admitted, FinishedCall]] = deque()
        self._backlog_lock = Lock()
        self.memory = SettlementMemory()

    def settle(
        self, admitted: Admitted, reading: Reading, *, outcome: Outcome, timing: Timing
    ) -> Money:
        """Book a call by what its answer told; returns its cost."""
        price = self._price_served(admitted, reading)
        charge = self._charge(admitted, price, reading)
        finished = FinishedCall(
            outcome=outcome,
            usage=charge.usage,
            usage_status=reading.status,
            confidence=charge.confidence,
            price_status=_price_status(price, reading),
            price_row=price.row_id if price else "",
            served_model=(reading.served_model or admitted.call.model)[:160],
            raw_usage=reading.raw,
            latency_ms=timing.latency_ms(),
            ttft_ms=timing.ttft_ms(),
            settled_at=self._clock(),
            cost=charge.cost.total,
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

    def _price_served(self, admitted: Admitted, reading: Reading) -> PriceRow | None:
        """The row of the model and tier that were served, as of admission; else the asked one."""
        if reading.served_model is None:
            return admitted.price
        target = Target(admitted.provider, reading.served_model)
        call = admitted.call
        served = self._models.price(target, reading.service_tier, call.admitted_at, call.operation)
        if served and admitted.price and outranks(admitted.price, served, target.model):
            return admitted.price
        return served or admitted.price

    def _charge(self, admitted: Admitted, price: PriceRow | None, reading: Reading) -> _Charge:
        call = admitted.call
        match reading.status:
            case UsageStatus.EXACT | UsageStatus.ANOMALY | UsageStatus.PROVIDER_COST:
                self._counter.learn(call.model, reading.usage, reading.text_bytes)
                return _Charge(reading.usage, _reported(price, reading), Confidence.REPORTED)
            case UsageStatus.NOT_BILLED:
                return _Charge(Usage(), NO_COST, Confidence.REPORTED)
            case UsageStatus.PARTIAL:
                usage = self._counter.raise_output(call.model, reading.usage, reading.text_bytes)
                reported = _cost(price, reading.usage)
            case UsageStatus.MISSING:
                usage = self._counter.count(
                    call.model, input_bytes=admitted.input_bytes, text_bytes=reading.text_bytes
                )
                reported = NO_COST
        counted = _at_most(_cost(price, usage), call.held)
        cost = counted if counted.total >= reported.total else reported
        return _Charge(usage, cost, Confidence.COUNTED)


def _cost(price: PriceRow | None, usage: Usage) -> Cost:
    return cost_of(price, usage) if price else NO_COST


def _reported(price: PriceRow | None, reading: Reading) -> Cost:
    """What the provider states that it charges stands before what the tokens would cost."""
    if reading.stated_cost is None:
        return _cost(price, reading.usage)
    return stated(reading.stated_cost, price, reading.usage)


def _price_status(price: PriceRow | None, reading: Reading) -> PriceStatus:
    if reading.stated_cost is not None:
        return PriceStatus.PROVIDER_STATED
    return PriceStatus.PRICED if price else PriceStatus.UNPRICED


def _at_most(cost: Cost, held: Money) -> Cost:
    """What is only counted is never charged above the hold."""
    return cost if cost.total <= held else Cost(max(held, ZERO), cost.lines)
