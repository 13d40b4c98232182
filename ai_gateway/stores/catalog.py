"""What is known of models: prices and limits.

A price that staff entered comes before the operator's file, and that before the vendors' lists.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from genai_prices.types import ModelInfo

from ai_gateway.domain.price_entries import NO_ENTRIES, PriceEntry, Timeline, timelines
from ai_gateway.domain.pricing import PriceRow
from ai_gateway.stores import list_prices
from ai_gateway.stores.model_names import with_and_without_date
from ai_gateway.stores.price_list import PriceList, built_in_list

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
    """Prices and limits of the models of some providers; nothing of it changes.

    A name matches exactly: a name that the row has, or one of these plus a date.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        operator_rows: Iterable[PriceRow] = (),
        operator_limits: LimitsTable = NO_LIMITS,
        *,
        price_list: PriceList | None = None,
        entries: Iterable[PriceEntry] = (),
    ) -> None:
        self.price_list = price_list or built_in_list()
        self._sources = sources
        self._listed = {
            provider: self.price_list.by_name(source.price_ids, source.model_names)
            for provider, source in sources.items()
        }
        self._own = {(row.provider, row.model): row for row in operator_rows}
        self._entered = timelines(entries)
        self._operator_limits = operator_limits
        self._limits: tuple[LimitsTable, ...] = (operator_limits, _read_limits(sources))
        self._rows: dict[tuple[str, int, str], PriceRow | None] = {}
        self._rows_since = datetime.min.replace(tzinfo=UTC)

    def with_prices(self, price_list: PriceList, entries: Iterable[PriceEntry]) -> "Catalog":
        """The same with another list, and with what staff entered."""
        own = self._own.values()
        return Catalog(
            self._sources, own, self._operator_limits, price_list=price_list, entries=entries
        )

    @cached_property
    def book_id(self) -> str:
        """Name the price data by version and hash, as stamped on every charge."""
        rows = [repr(self._own[key]) for key in sorted(self._own)]
        for key in sorted(self._entered):
            rows += [
                f"{one.entry_id} {one.effective_from.isoformat()} {one.row!r}"
                for one in self._entered[key].effective
            ]
        if not rows:
            return self.price_list.book_id
        digest = hashlib.sha256("\n".join(rows).encode()).hexdigest()
        return f"{self.price_list.book_id}+{digest[:12]}"

    def models(self, provider: str) -> list[str]:
        """The names that a bare model name may have, priced ones only, sorted."""
        listed = self._listed.get(provider, {})
        names = {name for name, model in listed.items() if list_prices.is_listed(name, model)}
        names |= {model for owner, model in self._own if owner == provider}
        entered = {
            model
            for (owner, model), line in self._entered.items()
            if owner == provider and line.last_row
        }
        return sorted(names | entered)

    def listed_models(self, provider: str) -> dict[str, list[str]]:
        """The models that the list has, each with the exact names that it goes by."""
        found: dict[str, list[str]] = {}
        for name, model in self._listed.get(provider, {}).items():
            found.setdefault(model.id, []).append(name)
        return found

    @property
    def operator_rows(self) -> Mapping[tuple[str, str], PriceRow]:
        return self._own

    @property
    def entered(self) -> Mapping[tuple[str, str], Timeline]:
        return self._entered

    def knows(self, provider: str, model: str) -> bool:
        return any(
            (provider, name) in self._own
            or name in self._listed.get(provider, {})
            or self.has_entry(provider, name)
            for name in with_and_without_date(model)
        )

    def has_entry(self, provider: str, model: str) -> bool:
        """Whether staff entered a price under exactly this name that was not withdrawn."""
        return self._entered.get((provider, model), NO_ENTRIES).last_row is not None

    def row(
        self, provider: str, model: str, service_tier: str | None, moment: datetime
    ) -> PriceRow | None:
        """The price in force at `moment`; None for a model that nobody priced by the token."""
        for name in with_and_without_date(model):
            key = (provider, name)
            entered = self._entered[key].row(moment) if key in self._entered else None
            own = entered or self._own.get(key)
            if own is not None:
                return own
            listed = self._listed.get(provider, {}).get(name)
            if listed is not None:
                return self._compiled(provider, listed, service_tier, moment)
        return None

    def listed_row(self, provider: str, model: str, moment: datetime) -> PriceRow | None:
        """The plain price of the list, whatever comes before it."""
        listed = self._listed.get(provider, {}).get(model)
        return self._compiled(provider, listed, None, moment) if listed else None

    def listed_since(self, provider: str, model: str, moment: datetime) -> datetime | None:
        """When the list's price began, where the list says so."""
        listed = self._listed.get(provider, {}).get(model)
        return list_prices.begun_at(listed, moment) if listed else None

    def _compiled(
        self, provider: str, listed: ModelInfo, service_tier: str | None, moment: datetime
    ) -> PriceRow | None:
        tier = list_prices.price_tier(listed, service_tier)
        minute = moment.minute - moment.minute % PRICES_HOLD_MINUTES
        since = moment.replace(minute=minute, second=0, microsecond=0)
        if since != self._rows_since:
            self._rows, self._rows_since = {}, since
        key = (provider, id(listed), tier)
        if key not in self._rows:
            self._rows[key] = list_prices.compile_row(provider, listed, tier, moment)
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


def _first(values: Iterable[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _read_limits(sources: Mapping[str, Source]) -> dict[tuple[str, str], KnownLimits]:
    return {
        (provider, row["model"]): KnownLimits(row["max_output_tokens"], row["max_input_tokens"])
        for provider, source in sources.items()
        for row in _listed_limits()
        if row["provider"] == source.limits_id
    }


@cache
def _listed_limits() -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = json.loads(_LIMITS_FILE.read_text())["models"]
    return rows
