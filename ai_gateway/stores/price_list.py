"""A list of the vendors' prices: the one of the release, or a newer one that was fetched.

Only the reading of the library's format is its own; where lists come from is decided elsewhere.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path

import genai_prices
from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, Provider
from genai_prices.types import _providers_from_raw as providers_from_raw

from ai_gateway.domain.price_jumps import Listed, ListedPrice
from ai_gateway.stores import list_prices

DIGEST_CHARACTERS = 12


class UnreadableList(Exception):
    """What was to be a list of prices is none; the message says where it ends to be one."""


@dataclass(frozen=True)
class PriceList:
    """The models of each provider of the price data, by the data's own ids.

    `digest` names the content. `fetched_at` is None for the list of the release.
    """

    digest: str
    models: Mapping[str, tuple[ModelInfo, ...]] = field(repr=False)
    fetched_at: datetime | None = None

    @cached_property
    def book_id(self) -> str:
        """Name the price data by origin and hash, as stamped on every charge."""
        origin = "fetched" if self.fetched_at else version("genai-prices")
        return f"genai-prices-{origin}-{self.digest}"

    def by_name(self, price_ids: Iterable[str], pattern: str = "") -> dict[str, ModelInfo]:
        """The models that the data has under some ids, under each name they have exactly.

        The first of `price_ids` that knows a name holds. `pattern` is what a name begins with.
        """
        names: dict[str, ModelInfo] = {}
        for price_id in price_ids:
            for name, model in list_prices.exact_names(self.models.get(price_id, ())):
                if re.match(pattern, name):
                    names.setdefault(name, model)
        return names

    def made_at(self, moment: datetime) -> datetime | None:
        """When it was fetched; of the release's list, when its youngest price began."""
        begun = (list_prices.begun_at(model, moment) for model in self._all())
        return self.fetched_at or max((one for one in begun if one), default=None)

    def listed(self, moment: datetime) -> Listed:
        """The plain price of every model that is priced by the token."""
        return {
            (price_id, model.id): ListedPrice(
                row, is_dated=list_prices.begun_at(model, moment) is not None
            )
            for price_id, models in self.models.items()
            for model in models
            if (row := list_prices.compile_row(price_id, model, "", moment))
        }

    def _all(self) -> Iterator[ModelInfo]:
        for models in self.models.values():
            yield from models


@cache
def built_in_list() -> PriceList:
    """The list of the release."""
    data = Path(genai_prices.__file__).with_name("data.py").read_bytes()
    return PriceList(_digest(data), _by_id(data_snapshot.get_snapshot().providers))


def read_list(body: bytes, fetched_at: datetime) -> PriceList:
    """Read what a server sent; raises `UnreadableList`."""
    try:
        raw = json.loads(body)
        if not isinstance(raw, list):
            raise UnreadableList("it is no list of providers")
        models = _by_id(providers_from_raw(raw))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        fault = f"it is not in the form of genai-prices: {type(error).__name__}"
        raise UnreadableList(fault) from error
    return PriceList(_digest(body), models, fetched_at)


def _by_id(providers: Iterable[Provider]) -> dict[str, tuple[ModelInfo, ...]]:
    return {provider.id: tuple(provider.models) for provider in providers}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGEST_CHARACTERS]
