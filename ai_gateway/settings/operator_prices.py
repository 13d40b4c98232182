"""Prices and limits of models in the operator's file: `[[prices]]` and `[models."p/m"]`.

Amounts stay exact decimals of USD for a million tokens here; the catalog makes rates of them.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from ai_gateway.settings.toml_table import Table, near, shown

AMOUNTS = ("input", "cached_input", "cache_write", "cache_write_long", "output")
MOST_UNCONFIRMED = 1_000
MOST = 1_000_000
MOST_TOKENS = 10_000_000
DECIMALS = 6
"""A price of so many decimals is a whole number of pico-USD for one token."""

_AMOUNT = re.compile(r"(?P<sign>-?)\d{1,9}(?:\.(?P<decimals>\d+))?", re.ASCII)


class PriceTier(NamedTuple):
    """Other amounts for requests with more than `over_input_tokens` of input."""

    over_input_tokens: int
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """What the operator says that a model costs. The names of the amounts are `AMOUNTS`."""

    provider: str
    model: str
    amounts: Mapping[str, Decimal]
    tier: PriceTier | None


@dataclass(frozen=True, slots=True)
class ListedLimits:
    """What the operator says that a model takes and gives, in tokens; None where nothing."""

    provider: str
    model: str
    max_output: int | None
    context: int | None
    media_hold_tokens: int | None


def read_prices(tables: Iterable[Table], known: Collection[str]) -> tuple[ListedPrice, ...]:
    """Read `[[prices]]`; `known` are the names of all providers."""
    prices: dict[tuple[str, str], ListedPrice] = {}
    for table in tables:
        table.refuse_unknown(("provider", "model", *AMOUNTS, "tier", "confirm"))
        provider, model = table.required_text("provider"), table.required_text("model")
        _refuse_unknown_provider(table, provider, known, "provider")
        if (provider, model) in prices:
            raise table.fault(f"{shown(f'{provider}/{model}')} has a price already", "model")
        is_confirmed = table.boolean("confirm")
        amounts = _amounts(table, is_confirmed=is_confirmed)
        for key in ("input", "output"):
            if key not in amounts:
                raise table.fault(f'{key} is missing; what costs nothing is "0"')
        tier = _tier(table.table("tier"), is_confirmed=is_confirmed) if "tier" in table else None
        prices[provider, model] = ListedPrice(provider, model, amounts, tier)
    return tuple(prices.values())


def read_limits(tables: Table, known: Collection[str]) -> tuple[ListedLimits, ...]:
    """Read `[models."provider/model"]`."""
    limits = []
    for name in tables:
        table = tables.table(name)
        provider, _, model = name.partition("/")
        if not model:
            raise table.fault('the name of the table has to be "provider/model"')
        _refuse_unknown_provider(table, provider, known)
        table.refuse_unknown(("max_output", "context", "media_hold_tokens"))
        max_output, context, media = (
            table.whole_number(key, high=MOST_TOKENS)
            for key in ("max_output", "context", "media_hold_tokens")
        )
        limits.append(ListedLimits(provider, model, max_output, context, media))
    return tuple(limits)


def _refuse_unknown_provider(
    table: Table, provider: str, known: Collection[str], key: str | None = None
) -> None:
    if provider not in known:
        raise table.fault(f"{shown(provider)} is no provider; {near(provider, known)}", key)


def _tier(table: Table, *, is_confirmed: bool) -> PriceTier:
    table.refuse_unknown(("threshold", "inclusive", *AMOUNTS))
    threshold = table.whole_number("threshold", high=MOST_TOKENS)
    if threshold is None:
        raise table.fault("threshold is missing: the input tokens above which the tier holds")
    amounts = _amounts(table, is_confirmed=is_confirmed)
    if not amounts:
        raise table.fault("the tier has no price of its own")
    return PriceTier(threshold - table.boolean("inclusive"), amounts)


def _amounts(table: Table, *, is_confirmed: bool) -> dict[str, Decimal]:
    return {key: _amount(table, key, is_confirmed=is_confirmed) for key in AMOUNTS if key in table}


def _amount(table: Table, key: str, *, is_confirmed: bool) -> Decimal:
    number = table.number(key)
    if number is not None:
        raise table.fault(f'{key} = {number} has to be a string, to stay exact: "{number}"', key)
    text = table.text(key) or ""
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise table.fault(
            f'{key} {shown(text)} is no amount: write USD per million tokens, such as "0.15"',
            key,
        )
    if match["sign"]:
        raise table.fault(f"{key} {shown(text)} is negative", key)
    if len(match["decimals"] or "") > DECIMALS:
        raise table.fault(f"{key} {shown(text)} has more than {DECIMALS} decimals", key)
    amount = Decimal(text)
    if amount > MOST:
        raise table.fault(f"{key} {shown(text)} is more than {MOST:,} USD per million tokens", key)
    if amount > MOST_UNCONFIRMED and not is_confirmed:
        raise table.fault(
            f"{key} {shown(text)} is more than {MOST_UNCONFIRMED:,} USD per million tokens; "
            "if it is right, add: confirm = true",
            key,
        )
    return amount
