"""Prices of the operator and of staff as rows of the book. They come before the list, whole."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from ai_gateway.domain.pricing import PriceRow, Rates, Tier
from ai_gateway.stores.list_prices import DEARER_TIERS, PICO_USD_PER_TOKEN
from ai_gateway.stores.model_names import with_and_without_date

PREFIX = "operator/"
ENTERED_PREFIX = "entered/"
"""What rows are named by: those of the operator's file, and those that staff entered."""


def operator_row(
    provider: str,
    model: str,
    amounts: Mapping[str, Decimal],
    tier: tuple[int, Mapping[str, Decimal]] | None = None,
) -> PriceRow:
    """Make a row of USD for a million tokens, named as the rates are; input and output are needed.

    `tier` has the input tokens above which its own amounts hold. What it leaves out costs there
    what its parent costs: cached and written input cost what input does, where the tier has a
    price for input.
    """
    tiers = [Tier(-1, _rates(amounts))]
    if tier is not None:
        over_input_tokens, own = tier
        kept = {"output"} if "input" in own else set(amounts)
        above = {name: amounts[name] for name in kept} | dict(own)
        tiers.append(Tier(over_input_tokens, _rates(above)))
    return PriceRow(f"{PREFIX}{provider}/{model}", provider, model, tuple(tiers))


def entered_row(entry_id: int, provider: str, model: str, like: PriceRow) -> PriceRow:
    """The row of an entry: the prices of another row, under a name of its own."""
    name = f"{ENTERED_PREFIX}{entry_id}/{provider}/{model}"
    return replace(like, row_id=name, provider=provider, model=model)


def is_own(row: PriceRow) -> bool:
    """Whether the price is ours and not of a list."""
    return row.row_id.startswith((PREFIX, ENTERED_PREFIX))


def outranks(asked: PriceRow, served: PriceRow, served_model: str) -> bool:
    """Whether our own row of the asked model holds for what was served as well.

    It does for the dated name of the same model, unless that one was priced apart.
    """
    is_ours_alone = is_own(asked) and not is_own(served)
    return is_ours_alone and asked.model in with_and_without_date(served_model)


def holds_in_tier(row: PriceRow, tier: str | None) -> bool:
    """Whether a row is the price of a tier: the list's plain one is too low for a dearer tier."""
    return tier not in DEARER_TIERS or is_own(row) or f":{tier}" in row.row_id


def _rates(amounts: Mapping[str, Decimal]) -> Rates:
    """Every kind at its own rate, or at its parent's where it has none."""
    fresh, answer = _pico(amounts["input"]), _pico(amounts["output"])
    cached = _pico(amounts["cached_input"]) if "cached_input" in amounts else fresh
    written = _pico(amounts["cache_write"]) if "cache_write" in amounts else fresh
    is_long_known = "cache_write_long" in amounts
    return Rates(
        input=fresh,
        output=answer,
        cached_input=cached,
        cache_write=written,
        cache_write_long=_pico(amounts["cache_write_long"]) if is_long_known else written,
        audio_input=fresh,
        cached_audio=cached,
        image_input=fresh,
        reasoning=answer,
        audio_output=answer,
        image_output=answer,
    )


def _pico(usd_per_million: Decimal) -> int:
    pico = usd_per_million * PICO_USD_PER_TOKEN
    if pico < 0 or pico != pico.to_integral_value():
        raise ValueError(f"a price of {usd_per_million} USD per million tokens is not exact")
    return int(pico)
