"""Reads the amount that a provider says it charges, as each vendor states it (metering.md B9, B10).

It is what will be on the bill, with tools and discounts, and stands before every computed figure.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from ai_gateway.domain.money import round_usd
from ai_gateway.domain.usage import Reading, UsageStatus
from ai_gateway.providers.dialect import object_in

TICKS_PER_USD = Decimal(10**10)
MOST_USD = Decimal(10**6)
"""No call comes near it: such a figure is a slip, and the tokens are priced instead."""

_WHOLE = frozenset({UsageStatus.EXACT, UsageStatus.MISSING})


def with_stated_cost(reading: Reading, usage: Mapping[str, object], how: str) -> Reading:
    """The same with what the usage states as the amount; a lower bound states none.

    An anomaly stays one, since its counts are in doubt although the amount is not.
    """
    amount = _STATED[how](usage)
    if amount is None or not 0 <= amount <= MOST_USD or reading.status is UsageStatus.PARTIAL:
        return reading
    status = UsageStatus.PROVIDER_COST if reading.status in _WHOLE else reading.status
    return replace(reading, status=status, stated_cost=round_usd(amount))


def _number(holder: Mapping[str, object], name: str) -> Decimal | None:
    """A JSON number, by its shortest text: the digits that the provider wrote."""
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value))


def _ticks(usage: Mapping[str, object]) -> Decimal | None:
    ticks = _number(usage, "cost_in_usd_ticks")
    return None if ticks is None else ticks / TICKS_PER_USD


def _credits(usage: Mapping[str, object]) -> Decimal | None:
    """With a key of the caller's own at the upstream, the router's fee is all that `cost` has."""
    cost = _number(usage, "cost")
    if cost is None or usage.get("is_byok") is not True:
        return cost
    upstream = _number(object_in(usage, "cost_details"), "upstream_inference_cost")
    return cost + (upstream or 0)


def _total(usage: Mapping[str, object]) -> Decimal | None:
    return _number(object_in(usage, "cost"), "total_cost")


def _estimate(usage: Mapping[str, object]) -> Decimal | None:
    """Called an estimate, but it has the tier that was served."""
    return _number(usage, "estimated_cost")


_STATED: Mapping[str, Callable[[Mapping[str, object]], Decimal | None]] = {
    "": lambda _: None,
    "ticks": _ticks,
    "credits": _credits,
    "total": _total,
    "estimate": _estimate,
}
