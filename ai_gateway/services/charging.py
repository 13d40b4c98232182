"""What a call costs, by what its answer told: usage x the price that was in force.

Where something was billed whose price nobody knows, the charge says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ai_gateway.domain.call import PriceStatus
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.pricing import NO_COST, Cost, PriceRow, cost_of_all, stated
from ai_gateway.domain.usage import Confidence, Reading, Usage, UsageStatus
from ai_gateway.domain.working import Basis, Working
from ai_gateway.services.admission import Admitted
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.models import Target
from ai_gateway.stores.operator_prices import holds_in_tier, outranks

Part = tuple[PriceRow | None, Usage]
"""What one model took, and the row that it is priced by."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What is booked for a call; `price` is the row of the model that answered."""

    usage: Usage
    cost: Cost
    confidence: Confidence
    price: PriceRow | None
    price_status: PriceStatus
    working: Working


class Charging:
    """Prices calls, and counts for those whose answer tells too little."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def charge(self, admitted: Admitted, reading: Reading) -> Charge:
        """The charge for an answer; what is only counted is never above the hold."""
        price = self._price_served(admitted, reading)
        usage, confidence = self._usage(admitted, reading)
        helpers = [
            (self._price_of(admitted, helper.model, reading), helper.usage)
            for helper in reading.helpers
        ]
        cost = _cost([(price, usage), *helpers])
        working = Working(Basis.PRICES, cost.lines)
        if reading.stated_cost is not None:
            working = Working(Basis.PROVIDER, cost.lines, reading.stated_cost)
            cost = stated(reading.stated_cost, price, usage)
        elif confidence is Confidence.COUNTED:
            counted = _at_most(cost, admitted.call.held)
            reported = _cost([(price, reading.usage), *helpers])
            is_counted = counted.total >= reported.total
            cost = counted if is_counted else reported
            working = Working(Basis.HOLD if is_counted else Basis.PRICES, cost.lines)
        return Charge(
            usage=sum((taken for _, taken in helpers), usage),
            cost=cost,
            confidence=confidence,
            price=price,
            price_status=_price_status([(price, usage), *helpers], admitted, reading),
            working=working,
        )

    def _usage(self, admitted: Admitted, reading: Reading) -> tuple[Usage, Confidence]:
        """The usage of the model that answered: as it was told, or counted."""
        model, input_bytes = admitted.call.model, admitted.input_bytes
        match reading.status:
            case UsageStatus.EXACT | UsageStatus.ANOMALY | UsageStatus.PROVIDER_COST:
                self._counter.learn(model, reading.usage, reading.text_bytes)
                return reading.usage, Confidence.REPORTED
            case UsageStatus.NOT_BILLED:
                return Usage(), Confidence.REPORTED
            case UsageStatus.PARTIAL:
                usage = self._counter.complete(
                    model, reading.usage, input_bytes=input_bytes, text_bytes=reading.text_bytes
                )
            case UsageStatus.MISSING:
                usage = self._counter.count(
                    model, input_bytes=input_bytes, text_bytes=reading.text_bytes
                )
        return usage, Confidence.COUNTED

    def _price_served(self, admitted: Admitted, reading: Reading) -> PriceRow | None:
        """The row of the model and tier that were served, as of admission; else the asked one."""
        asked, model = admitted.price, reading.served_model
        asked = asked.raised(reading.surcharge_percent) if asked else None
        served = self._price_of(admitted, model, reading, _tier(admitted, reading))
        if asked and served and outranks(asked, served, model or ""):
            return asked
        return served or asked

    def _price_of(
        self, admitted: Admitted, model: str | None, reading: Reading, tier: str | None = None
    ) -> PriceRow | None:
        if model is None:
            return None
        call = admitted.call
        target = Target(admitted.provider, model)
        # Not the book of now: what changed since the hold must not change what the call pays.
        row = admitted.book.price(target, tier, call.admitted_at, call.operation)
        return row.raised(reading.surcharge_percent) if row else None


def _tier(admitted: Admitted, reading: Reading) -> str | None:
    """The tier that was served; what was asked for where the answer says nothing."""
    return reading.service_tier or admitted.service_tier


def _cost(parts: Iterable[Part]) -> Cost:
    known = [(row, usage) for row, usage in parts if row]
    return cost_of_all(known) if known else NO_COST


def _price_status(parts: list[Part], admitted: Admitted, reading: Reading) -> PriceStatus:
    if reading.stated_cost is not None:
        return PriceStatus.PROVIDER_STATED
    price = parts[0][0]
    is_known = price is not None and all(row is not None and row.covers(u) for row, u in parts)
    if price and reading.status is not UsageStatus.NOT_BILLED:
        is_right = holds_in_tier(price, _tier(admitted, reading))
        is_known = is_known and is_right and not reading.has_unpriced
    return PriceStatus.PRICED if is_known else PriceStatus.UNPRICED


def _at_most(cost: Cost, held: Money) -> Cost:
    """What is only counted is never charged above the hold."""
    return cost if cost.total <= held else Cost(max(held, ZERO), cost.lines)
