"""The vendors' list prices: rows of `genai-prices`, compiled to integers.

Only the price rows of the library are used, never its reader or its arithmetic: those run on the
path of a call and would lose a charge to an exception.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time
from decimal import ROUND_CEILING, Decimal

from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
)

from ai_gateway.domain.pricing import PriceRow, Rates, Tier

PICO_USD_PER_TOKEN = 10**6
"""One USD for a million tokens is this many pico-USD for one token."""

PLAIN_TIERS = frozenset({"", "auto", "default", "standard"})
"""What the plain price is called in requests and answers."""

DEARER_TIERS = frozenset({"priority", "fast", "ultrafast"})
"""Of these a model of the list may have no price, and the plain one would be too low."""

_NOT_BY_THE_TOKEN = ("requests_kcount", "output_citation_mtok", "output_video_mtok")
"""Fees that no count of a usage stands for: such a model is rather unpriced than too cheap."""


_EMBEDDING = "embed"
"""What the names of embedding models have in common: their input is all that is billed."""


def is_listed(name: str, model: ModelInfo) -> bool:
    """Whether a name may be offered: it stands for one model, and that is priced by the token."""
    # Without a slash, a colon marks a family of fine-tuned models.
    is_family = ":" in name and "/" not in name
    standard = model.prices if isinstance(model.prices, ModelPrice) else model.prices[0].prices
    return not is_family and _is_token_priced(standard, model.id)


def price_tier(model: ModelInfo, service_tier: str | None) -> str:
    """The service tier if the model has a price of its own for it, else empty."""
    tier = service_tier or ""
    if tier in PLAIN_TIERS:
        return ""
    # Anthropic calls its dearer, faster serving a speed; no model has both kinds of variants.
    known = {
        variant.when.get(name)
        for variant in model.price_variants or ()
        for name in ("service_tier", "speed")
    }
    return tier if tier in known else ""


def compile_row(provider: str, model: ModelInfo, tier: str, moment: datetime) -> PriceRow | None:
    """The price in force at `moment`; None for a model that is not priced by the token."""
    price = model.get_prices(moment, {"service_tier": tier, "speed": tier} if tier else None)
    if not _is_token_priced(price, model.id):
        return None
    search = price.web_searches_kcount
    return PriceRow(
        row_id=f"{provider}/{model.id}" + (f":{tier}" if tier else ""),
        provider=provider,
        model=model.id,
        tiers=tuple(_tiers(price)),
        # USD for a thousand searches is this many pico-USD for one.
        web_search=None if search is None else int(_base(search) * 10**9),
        has_output=price.output_mtok is not None,
    )


def begun_at(model: ModelInfo, moment: datetime) -> datetime | None:
    """When the price in force began, where the list says so."""
    if isinstance(model.prices, ModelPrice):
        return None
    dates = [
        datetime.combine(one.constraint.start_date, time(), UTC)
        for one in model.prices
        if isinstance(one.constraint, StartDateConstraint) and one.constraint.active(moment)
    ]
    return max(dates, default=None)


def exact_names(models: Iterable[ModelInfo]) -> Iterator[tuple[str, ModelInfo]]:
    for model in models:
        # Some ids are names of rows only, which the vendor does not know.
        if model.is_match(model.id):
            yield model.id, model
        for name in _equals(model.match):
            yield name, model


def _equals(clause: MatchLogic) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseOr):
        for part in clause.or_:
            yield from _equals(part)


def _is_token_priced(price: ModelPrice, model: str) -> bool:
    has_fee = any(getattr(price, name, None) is not None for name in _NOT_BY_THE_TOKEN)
    has_output = price.output_mtok is not None or _EMBEDDING in model
    return price.input_mtok is not None and has_output and not has_fee


def _base(value: Decimal | TieredPrices) -> Decimal:
    return value.base if isinstance(value, TieredPrices) else value


def _tiers(price: ModelPrice) -> Iterator[Tier]:
    thresholds = {
        tier.start
        for value in vars(price).values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    }
    yield Tier(-1, _rates(price, 0))
    for threshold in sorted(thresholds):
        yield Tier(threshold, _rates(price, threshold + 1))


def _rates(price: ModelPrice, input_tokens: int) -> Rates:
    """Every kind at its own rate, or at its parent's where it has none; never free by omission."""

    def rate(name: str, parent: int | None = None) -> int:
        value: Decimal | TieredPrices | None = getattr(price, name)
        if value is None:
            if parent is None:
                raise ValueError(f"no price for {name}")
            return parent
        if isinstance(value, TieredPrices):
            chosen = value.base
            for tier in value.tiers:
                if input_tokens > tier.start:
                    chosen = tier.price
            value = chosen
        return _pico(value)

    # Only a model that gives no output has no price for it.
    fresh, answer = rate("input_mtok"), rate("output_mtok", 0)
    cached = rate("cache_read_mtok", fresh)
    written = rate("cache_write_mtok", fresh)
    return Rates(
        input=fresh,
        output=answer,
        cached_input=cached,
        cache_write=written,
        cache_write_long=rate("cache_write_1h_mtok", written),
        audio_input=rate("input_audio_mtok", fresh),
        # Without a price of its own it is audio first, where audio has one.
        cached_audio=rate("cache_audio_read_mtok", rate("input_audio_mtok", cached)),
        image_input=rate("input_image_mtok", fresh),
        reasoning=answer,
        audio_output=rate("output_audio_mtok", answer),
        image_output=rate("output_image_mtok", answer),
    )


def _pico(usd_per_million: Decimal) -> int:
    """The rate, rounded up where the list has a third of a cent: a hold must not be too small."""
    return int((usd_per_million * PICO_USD_PER_TOKEN).to_integral_value(ROUND_CEILING))
