"""Whether a newer list of prices can be believed: no known price is lost, free or far off at once.

A price that the list itself dates was announced; what moves without a date is rather a slip.
"""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass

from ai_gateway.domain.price_entries import ModelKey
from ai_gateway.domain.pricing import RATE_NAMES, PriceRow

MOST_TIMES = 5
LEAST_KEPT_PERCENT = 90


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """The price of a model in a list; whether the list says since when it holds."""

    row: PriceRow
    is_dated: bool = False


Listed = Mapping[ModelKey, ListedPrice]


def doubts(known: Listed, newer: Listed) -> Iterator[str]:
    """What speaks against the newer list, in words; nothing where it can be believed."""
    for key, price in newer.items():
        if any(min(astuple(tier.rates)) < 0 for tier in price.row.tiers):
            yield f"{'/'.join(key)} has a negative price"
    kept = known.keys() & newer.keys()
    if len(kept) * 100 < len(known) * LEAST_KEPT_PERCENT:
        yield f"it knows only {len(kept)} of {len(known)} models"
    for key in sorted(kept):
        if not newer[key].is_dated:
            yield from _jumps("/".join(key), known[key].row, newer[key].row)


def _jumps(name: str, before: PriceRow, after: PriceRow) -> Iterator[str]:
    old, new = before.tiers[0].rates, after.tiers[0].rates
    for kind in RATE_NAMES:
        was, becomes = getattr(old, kind), getattr(new, kind)
        if was and not becomes:
            yield f"{kind} of {name} becomes free"
        elif was and not was <= becomes * MOST_TIMES <= was * MOST_TIMES**2:
            yield f"{kind} of {name} moves more than {MOST_TIMES} times"
