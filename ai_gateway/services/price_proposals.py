"""Proposes a price for a model without one: that of its nearest priced sibling, or none.

The same model at another provider comes first: at the vendor who made it if that one lists it, else
the dearest of those who host it, so that a budget is not charged too little. Then an older version
of the same family at the same provider.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.price_siblings import is_own, nearest_older, plain_name
from ai_gateway.domain.pricing import PriceRow
from ai_gateway.stores import list_prices
from ai_gateway.stores.catalog import Catalog

MAKERS = (
    *("openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "moonshotai", "perplexity"),
    *("cohere", "zai", "minimax", "arcee", "voyageai", "meta"),
)
"""Ids of the price data whose models are the vendor's own."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The prices of `like`; `origin` says in words whose they are."""

    like: PriceRow
    origin: str


class PriceProposals:
    """Proposals out of one catalog, at one moment."""

    def __init__(self, catalog: Catalog, moment: datetime) -> None:
        self._catalog = catalog
        self._moment = moment
        self._siblings: dict[str, list[PriceRow]] | None = None

    def for_model(self, provider: str, model: str) -> Proposal | None:
        """None where no price could be proposed honestly."""
        if is_own(model):
            return None
        return self._same_elsewhere(provider, model) or self._older(provider, model)

    def _same_elsewhere(self, provider: str, model: str) -> Proposal | None:
        found = self._by_plain_name().get(plain_name(model), [])
        others = [row for row in found if row.provider != provider]
        if not others:
            return None
        makers = [row for row in others if row.provider in MAKERS]
        like = max(makers or others, key=_dearness)
        return Proposal(like, f"the same model at {like.provider}: {like.model}, {self._book}")

    def _older(self, provider: str, model: str) -> Proposal | None:
        name = nearest_older(model, self._catalog.models(provider))
        row = self._catalog.row(provider, name, None, self._moment) if name else None
        if name is None or row is None:
            return None
        return Proposal(row, f"an older version at {provider}: {row.model}, {self._book}")

    @property
    def _book(self) -> str:
        return self._catalog.price_list.book_id

    def _by_plain_name(self) -> dict[str, list[PriceRow]]:
        if self._siblings is None:
            self._siblings = {}
            for name, row in self._listed():
                self._siblings.setdefault(name, []).append(row)
        return self._siblings

    def _listed(self) -> Iterator[tuple[str, PriceRow]]:
        for price_id, models in self._catalog.price_list.models.items():
            for model in models:
                row = list_prices.compile_row(price_id, model, "", self._moment)
                if row is None:
                    continue
                names = {model.id, *(name for name, _ in list_prices.exact_names([model]))}
                for name in _plain(names):
                    yield name, row


def _plain(names: Iterable[str]) -> set[str]:
    return {plain_name(name) for name in names if not is_own(name)}


def _dearness(row: PriceRow) -> int:
    rates = row.tiers[0].rates
    return rates.input + rates.output
