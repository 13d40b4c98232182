"""Explains one request: how its charge came about, to the last nano-dollar, or why it was refused.

All of it is from what was kept of the request, so that it says the same for as long as that is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.money import PICO_PER_NANO, ZERO, Money
from ai_gateway.domain.price_lines import PriceSource
from ai_gateway.domain.pricing import CostLine
from ai_gateway.domain.working import Basis, Rounding, Working, rounding_of, worked_out
from ai_gateway.errors import RequestNotFound
from ai_gateway.stores.one_call import CallLookup, OneCall
from ai_gateway.stores.operator_prices import ENTERED_PREFIX, PREFIX
from ai_gateway.stores.refusal_list import RefusalList, RefusedRequest


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """Something that happened to a call; `at` is None where it was not recorded."""

    name: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class ExplainedCharge:
    """A call of the ledger. `is_book_in_force`: new calls are priced by the same price book."""

    call: OneCall
    is_book_in_force: bool
    now: datetime
    zone: ZoneInfo

    @property
    def working(self) -> Working | None:
        return self.call.working

    @property
    def lines(self) -> tuple[CostLine, ...]:
        return self.working.lines if self.working else ()

    @property
    def rounding(self) -> Rounding:
        return rounding_of(self.lines)

    @property
    def result(self) -> Money | None:
        """The cost once more, by the working; None where none was kept."""
        if self.working is not None:
            return worked_out(self.working, self.call.held)
        return ZERO if self.call.last.usage_status == "not_billed" else None

    @property
    def is_worked_out(self) -> bool:
        """Whether the working gives what was booked."""
        return self.result == self.call.cost

    @property
    def is_stated(self) -> bool:
        return self.working is not None and self.working.basis is Basis.PROVIDER

    @property
    def beyond_lines(self) -> int:
        """Pico-USD that a stated cost has beyond the lines: for tools, or less by a discount."""
        return self.call.cost * PICO_PER_NANO - self.rounding.pico_usd if self.is_stated else 0

    @property
    def is_bounded(self) -> bool:
        """Whether the hold was less than what the counted tokens would have cost."""
        is_by_hold = self.working is not None and self.working.basis is Basis.HOLD
        return is_by_hold and self.rounding.rounded > self.call.held

    @property
    def lowered_from(self) -> Money | None:
        """The hold that was wanted, where less was granted."""
        wanted = self.working.wanted if self.working else None
        return wanted if wanted is not None and wanted > self.call.held else None

    @property
    def released(self) -> Money:
        return Money(max(0, self.call.held - self.call.cost))

    @property
    def overrun(self) -> Money:
        return Money(max(0, self.call.cost - self.call.held))

    @property
    def source(self) -> PriceSource | None:
        return price_source(self.call.price_row)

    @property
    def timeline(self) -> tuple[TimelineStep, ...]:
        call, working = self.call, self.working
        steps = (
            ("Admitted", 0),
            ("Sent to the provider", working.sent_ms if working else None),
            ("First byte", working.answered_ms if working else None),
            ("First token", call.ttft_ms),
            ("Last byte", call.latency_ms or None),
        )
        return (
            *(TimelineStep(name, _later(call.admitted_at, ms)) for name, ms in steps),
            TimelineStep("Settled", call.entries[0].settled_at),
        )


@dataclass(frozen=True, slots=True)
class ExplainedRefusal:
    """A request that we refused: it was never sent, and cost nothing."""

    request: RefusedRequest
    now: datetime
    zone: ZoneInfo

    @property
    def room(self) -> Money | None:
        """What was left of the budget."""
        budget = self.request.budget
        return Money(max(0, budget.limit - budget.spent - budget.held)) if budget else None

    @property
    def lacking(self) -> Money | None:
        """By how much the room was too small."""
        budget = self.request.budget
        if budget is None:
            return None
        return Money(budget.needed - (budget.limit - budget.spent - budget.held))


Explanation = ExplainedCharge | ExplainedRefusal


class Explanations:
    """Finds requests; those of another user than `user_id` do not exist for whoever asks."""

    def __init__(self, price_book: Callable[[], str], clock: Clock, zone: ZoneInfo) -> None:
        self._calls = CallLookup()
        self._refusals = RefusalList()
        self._price_book = price_book
        self._clock = clock
        self._zone = zone

    def explain(self, request_id: str, user_id: int | None = None) -> Explanation:
        """Raises `RequestNotFound` where it is neither in the ledger nor among the refusals."""
        try:
            return self.charge(request_id, user_id)
        except RequestNotFound:
            return self.refusal(request_id, user_id)

    def charge(self, request_id: str, user_id: int | None = None) -> ExplainedCharge:
        """Raises `RequestNotFound`."""
        call = self._calls.find(request_id, user_id)
        if call is None:
            raise RequestNotFound(request_id)
        is_in_force = call.price_book == self._price_book()
        return ExplainedCharge(call, is_in_force, self._clock(), self._zone)

    def refusal(self, request_id: str, user_id: int | None = None) -> ExplainedRefusal:
        """Raises `RequestNotFound`."""
        request = self._refusals.find(request_id, user_id)
        if request is None:
            raise RequestNotFound(request_id)
        return ExplainedRefusal(request, self._clock(), self._zone)

    def named(self, name: str) -> str:
        """The request id of an id that is ours or the provider's; raises `RequestNotFound`."""
        if self._calls.find(name) or self._refusals.find(name):
            return name
        found = self._calls.by_provider_id(name)
        if found is None:
            raise RequestNotFound(name)
        return found


def price_source(row_id: str) -> PriceSource | None:
    """Whose price a row is, by its name; None without a row."""
    if not row_id:
        return None
    if row_id.startswith(ENTERED_PREFIX):
        return PriceSource.ENTERED
    return PriceSource.OPERATOR if row_id.startswith(PREFIX) else PriceSource.LIST


def _later(moment: datetime, milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else moment + timedelta(milliseconds=milliseconds)
