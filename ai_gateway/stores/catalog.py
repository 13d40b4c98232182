"""What is known of models: prices (from `genai-prices`, compiled to integers) and limits.

Only the price rows of the library are used, never its reader or its arithmetic: those run on the
path of a call and would lose a charge to an exception.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import genai_prices
from genai_prices import data_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    MatchLogic,
    ModelInfo,
    ModelPrice,
    TieredPrices,
)

from ai_gateway.domain.pricing import PriceRow, Rates, Tier

DEFAULT_MEDIA_HOLD_TOKENS = 10_000
DEFAULT_CONTEXT_TOKENS = 1_000_000
PICO_USD_PER_TOKEN = 10**6
"""One USD for a million tokens is this many pico-USD for one token."""

_DATE = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{8})$")
_LIMITS_FILE = Path(__file__).parent / "data" / "model_limits.json"


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a model takes and gives at most, in tokens; None where nobody says."""

    max_output_tokens: int | None
    context_tokens: int
    media_hold_tokens: int


class Catalog:
    """Prices and limits of the models of some providers.

    A name matches exactly: the row's own id, an `equals` clause, or one of these plus a date.
    """

    def __init__(self, providers: tuple[str, ...]) -> None:
        self._names: dict[str, dict[str, ModelInfo]] = {name: {} for name in providers}
        for provider in data_snapshot.get_snapshot().providers:
            if provider.id in self._names:
                self._names[provider.id] = dict(_exact_names(provider.models))
        self._limits = _read_limits(providers)
        self._rows: dict[tuple[str, str, str], PriceRow | None] = {}
        self._rows_hour = datetime.min.replace(tzinfo=UTC)

    @cached_property
    def book_id(self) -> str:
        """Name the price data by version and hash, as stamped on every charge."""
        data = Path(genai_prices.__file__).with_name("data.py").read_bytes()
        digest = hashlib.sha256(data).hexdigest()[:12]
        return f"genai-prices-{version('genai-prices')}-{digest}"

    def models(self, provider: str) -> list[str]:
        """The names that a bare model name may have, priced ones only, sorted."""
        return sorted(
            name
            for name, model in self._names[provider].items()
            # A name with a colon stands for a family of fine-tuned models, not for one.
            if _is_token_priced(_standard_price(model)) and ":" not in name
        )

    def knows(self, provider: str, model: str) -> bool:
        return self._find(provider, model) is not None

    def row(
        self, provider: str, model: str, service_tier: str | None, moment: datetime
    ) -> PriceRow | None:
        """The price in force at `moment`; None for a model that nobody priced by the token.

        Prices change on full hours only (a test holds the data to it), so rows are kept that long.
        """
        hour = moment.replace(minute=0, second=0, microsecond=0)
        if hour != self._rows_hour:
            self._rows, self._rows_hour = {}, hour
        # `auto` and `default` are what the plain price is called in answers.
        tier = service_tier if service_tier not in {None, "auto", "default", "standard"} else ""
        key = (provider, model, tier or "")
        if key not in self._rows:
            self._rows[key] = self._compile(*key, moment)
        return self._rows[key]

    def limits(self, provider: str, model: str) -> ModelLimits:
        known = self._limits.get((provider, model)) or self._limits.get(
            (provider, _DATE.sub("", model))
        )
        return known or ModelLimits(None, DEFAULT_CONTEXT_TOKENS, DEFAULT_MEDIA_HOLD_TOKENS)

    def _find(self, provider: str, model: str) -> ModelInfo | None:
        names = self._names.get(provider, {})
        return names.get(model) or names.get(_DATE.sub("", model))

    def _compile(self, provider: str, model: str, tier: str, moment: datetime) -> PriceRow | None:
        info = self._find(provider, model)
        if info is None:
            return None
        price = info.get_prices(moment, {"service_tier": tier} if tier else None)
        if not _is_token_priced(price):
            return None
        row_id = f"{provider}/{info.id}" + (f":{tier}" if tier else "")
        search = price.web_searches_kcount or Decimal(0)
        return PriceRow(
            row_id=row_id,
            provider=provider,
            model=info.id,
            tiers=tuple(_tiers(price)),
            # USD for a thousand searches is this many pico-USD for one.
            web_search=int(_base(search) * 10**9),
        )


def _exact_names(models: list[ModelInfo]) -> Iterator[tuple[str, ModelInfo]]:
    for model in models:
        yield model.id, model
        for name in _equals(model.match):
            yield name, model


def _equals(clause: MatchLogic) -> Iterator[str]:
    if isinstance(clause, ClauseEquals):
        yield clause.equals
    elif isinstance(clause, ClauseOr):
        for part in clause.or_:
            yield from _equals(part)


def _standard_price(model: ModelInfo) -> ModelPrice:
    return model.prices if isinstance(model.prices, ModelPrice) else model.prices[0].prices


def _is_token_priced(price: ModelPrice) -> bool:
    return price.input_mtok is not None and price.output_mtok is not None


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

    fresh, answer = rate("input_mtok"), rate("output_mtok")
    cached = rate("cache_read_mtok", fresh)
    written = rate("cache_write_mtok", fresh)
    return Rates(
        input=fresh,
        output=answer,
        cached_input=cached,
        cache_write=written,
        cache_write_long=rate("cache_write_1h_mtok", written),
        audio_input=rate("input_audio_mtok", fresh),
        cached_audio=rate("cache_audio_read_mtok", cached),
        image_input=rate("input_image_mtok", fresh),
        reasoning=answer,
        audio_output=rate("output_audio_mtok", answer),
        image_output=rate("output_image_mtok", answer),
    )


def _pico(usd_per_million: Decimal) -> int:
    pico = usd_per_million * PICO_USD_PER_TOKEN
    if pico < 0 or pico != pico.to_integral_value():
        raise ValueError(f"a price of {usd_per_million} USD per million tokens is not exact")
    return int(pico)


def _read_limits(providers: tuple[str, ...]) -> dict[tuple[str, str], ModelLimits]:
    rows = json.loads(_LIMITS_FILE.read_text())["models"]
    return {
        (row["provider"], row["model"]): ModelLimits(
            row["max_output_tokens"],
            row["max_input_tokens"] or DEFAULT_CONTEXT_TOKENS,
            DEFAULT_MEDIA_HOLD_TOKENS,
        )
        for row in rows
        if row["provider"] in providers
    }
