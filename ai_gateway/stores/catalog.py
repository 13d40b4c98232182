"""What is known of models: prices and limits, the operator's before those of the vendors' lists."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from genai_prices.types import ModelInfo

from ai_gateway.domain.pricing import PriceRow
from ai_gateway.stores import list_prices
from ai_gateway.stores.model_names import with_and_without_date

DEFAULT_MEDIA_HOLD_TOKENS = 10_000
DEFAULT_CONTEXT_TOKENS = 1_000_000

PRICES_HOLD_MINUTES = 30
"""Prices change on full and half hours only (a test holds the data to it)."""

_LIMITS_FILE = Path(__file__).parent / "data" / "model_limits.json"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the built-in data has the models of a provider; empty where it has none.

    `price_ids` are its names in genai-prices, `limits_id` is that in the file of limits, and
    `model_names` is a pattern of the names that it really serves.
    """

    price_ids: tuple[str, ...] = ()
    limits_id: str = ""
    model_names: str = ""


@dataclass(frozen=True, slots=True)
class KnownLimits:
    """What somebody says of a model's limits, in tokens; None where nothing."""

    max_output_tokens: int | None = None
    context_tokens: int | None = None
    media_hold_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a model takes and gives at most, in tokens; None where nobody says."""

    max_output_tokens: int | None
    context_tokens: int
    media_hold_tokens: int


LimitsTable = Mapping[tuple[str, str], KnownLimits]
"""By provider and model."""

NO_LIMITS: LimitsTable = MappingProxyType({})


class Catalog:
    """Prices and limits of the models of some providers.

    A name matches exactly: a name that the row has, or one of these plus a date.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        operator_rows: Iterable[PriceRow] = (),
        operator_limits: LimitsTable = NO_LIMITS,
    ) -> None:
        self._listed = {
            provider: list_prices.models_by_name(source.price_ids, source.model_names)
            for provider, source in sources.items()
        }
        self._own = {(row.provider, row.model): row for row in operator_rows}
        self._limits: tuple[LimitsTable, ...] = (operator_limits, _read_limits(sources))
        self._rows: dict[tuple[str, int, str], PriceRow | None] = {}
        self._rows_since = datetime.min.replace(tzinfo=UTC)

    @cached_property
    def book_id(self) -> str:
        """Name the price data by version and hash, as stamped on every charge."""
        listed = list_prices.book_id()
        if not self._own:
            return listed
        rows = "\n".join(repr(self._own[key]) for key in sorted(self._own))
        return f"{listed}+{hashlib.sha256(rows.encode()).hexdigest()[:12]}"

    def models(self, provider: str) -> list[str]:
        """The names that a bare model name may have, priced ones only, sorted."""
        listed = self._listed.get(provider, {})
        names = {name for name, model in listed.items() if list_prices.is_listed(name, model)}
        return sorted(names | {model for owner, model in self._own if owner == provider})

    def knows(self, provider: str, model: str) -> bool:
        return self._find(provider, model) is not None

    def row(
        self, provider: str, model: str, service_tier: str | None, moment: datetime
    ) -> PriceRow | None:
        """The price in force at `moment`; None for a model that nobody priced by the token."""
        found = self._find(provider, model)
        if found is None or isinstance(found, PriceRow):
            return found
        tier = list_prices.price_tier(found, service_tier)
        minute = moment.minute - moment.minute % PRICES_HOLD_MINUTES
        since = moment.replace(minute=minute, second=0, microsecond=0)
        if since != self._rows_since:
            self._rows, self._rows_since = {}, since
        key = (provider, id(found), tier)
        if key not in self._rows:
            self._rows[key] = list_prices.compile_row(provider, found, tier, moment)
        return self._rows[key]

    def limits(self, provider: str, model: str) -> ModelLimits:
        said = [
            table[provider, name]
            for table in self._limits
            for name in with_and_without_date(model)
            if (provider, name) in table
        ]
        return ModelLimits(
            _first(known.max_output_tokens for known in said),
            _first(known.context_tokens for known in said) or DEFAULT_CONTEXT_TOKENS,
            _first(known.media_hold_tokens for known in said) or DEFAULT_MEDIA_HOLD_TOKENS,
        )

    def _find(self, provider: str, model: str) -> PriceRow | ModelInfo | None:
        listed = self._listed.get(provider, {})
        for name in with_and_without_date(model):
            found = self._own.get((provider, name)) or listed.get(name)
            if found is not None:
                return found
        return None


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _read_limits(sources: Mapping[str, Source]) -> dict[tuple[str, str], KnownLimits]:
    rows = json.loads(_LIMITS_FILE.read_text())["models"]
    return {
        (provider, row["model"]): KnownLimits(row["max_output_tokens"], row["max_input_tokens"])
        for provider, source in sources.items()
        for row in rows
        if row["provider"] == source.limits_id
    }
