"""The list of prices: what is in force and whose, what stands behind it, and what has no price."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.numbered_pages import page_count
from ai_gateway.domain.price_entries import NO_ENTRIES, EntryState, ModelKey, PriceEntry
from ai_gateway.domain.price_lines import (
    EVERYTHING,
    LineStatus,
    PriceLine,
    PriceSelection,
    PriceSort,
    PriceSource,
    sorted_lines,
)
from ai_gateway.domain.pricing import PriceRow
from ai_gateway.providers.provider import Provider
from ai_gateway.services.models import ModelDirectory, Target
from ai_gateway.services.price_book import PriceBooks
from ai_gateway.services.price_listing import PriceLines
from ai_gateway.services.price_proposals import PriceProposals, Proposal
from ai_gateway.stores.catalog import Catalog, ModelLimits
from ai_gateway.stores.operator_prices import ENTERED_PREFIX, is_own
from ai_gateway.stores.price_lists import FetchState, PriceListTable
from ai_gateway.stores.price_use import ModelUse, PriceUse

PAGE_SIZES = (50, 100, 200)
USED_WITHIN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class PriceQuery:
    """Which lines, in which order, and which page of them."""

    selection: PriceSelection = EVERYTHING
    sort: PriceSort = PriceSort.MODEL
    is_descending: bool = False
    page: int = 1
    page_size: int = PAGE_SIZES[0]


@dataclass(frozen=True, slots=True)
class ShownPrice:
    """A line with what its model takes and gives; a proposal where it has no price."""

    line: PriceLine
    limits: ModelLimits
    proposal: Proposal | None


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """All that is known of one model's price, with everything that was ever entered."""

    provider: str
    model: str
    row: PriceRow | None
    source: PriceSource | None
    limits: ModelLimits
    proposal: Proposal | None
    history: tuple[tuple[PriceEntry, EntryState], ...]
    now: datetime

    @property
    def like(self) -> PriceRow | None:
        """What a new price would be near to."""
        return self.row or (self.proposal.like if self.proposal else None)

    def entry(self, entry_id: int) -> PriceEntry | None:
        return next((one for one, _ in self.history if one.entry_id == entry_id), None)


@dataclass(frozen=True, slots=True)
class PricePage:
    """One page; `counts` are of the whole list by status."""

    query: PriceQuery
    prices: tuple[ShownPrice, ...]
    total: int
    counts: Mapping[LineStatus, int]
    providers: tuple[str, ...]
    book_id: str
    list_made_at: datetime | None
    now: datetime

    @property
    def pages(self) -> int:
        return page_count(self.total, self.query.page_size)

    @property
    def first(self) -> int:
        return min(self.total, (self.query.page - 1) * self.query.page_size + 1)

    @property
    def last(self) -> int:
        return min(self.total, self.query.page * self.query.page_size)


class PriceTable:
    """Reads the catalog of SQL and what was used; raises `GatewayUnavailable`."""

    def __init__(
        self, books: PriceBooks, lists: PriceListTable, use: PriceUse, clock: Clock
    ) -> None:
        self._books = books
        self._lists = lists
        self._use = use
        self._clock = clock

    def page(self, query: PriceQuery) -> PricePage:
        now, directory = self._clock(), self._books.directory()
        lines = self.lines()
        chosen = sorted_lines(
            filter(query.selection.has, lines), query.sort, is_descending=query.is_descending
        )
        pages = page_count(len(chosen), query.page_size)
        query = replace(query, page=min(max(1, query.page), pages))
        start = (query.page - 1) * query.page_size
        counts = dict.fromkeys(LineStatus, 0)
        for line in lines:
            counts[line.status] += 1
        catalog = directory.book.catalog
        proposals = PriceProposals(catalog, now)
        return PricePage(
            query,
            tuple(
                _shown(line, catalog, proposals) for line in chosen[start : start + query.page_size]
            ),
            len(chosen),
            counts,
            tuple(provider.name for provider in directory.providers),
            catalog.book_id,
            catalog.price_list.made_at(now),
            now,
        )

    def lines(self) -> list[PriceLine]:
        """Every line there is, unsorted."""
        now, directory = self._clock(), self._books.directory()
        used = self._use.by_model(now - USED_WITHIN)
        lines = list(PriceLines(directory, used, now).all())
        known = {(line.provider, line.model) for line in lines if line.status is LineStatus.PRICED}
        return [*lines, *self._unpriced(directory, used, known, now)]

    def model(self, provider: str, model: str) -> ModelPrices | None:
        """One model of a provider that is on; None for a provider that is not."""
        now, directory = self._clock(), self._books.directory()
        if not model or provider not in {one.name for one in directory.providers}:
            return None
        catalog, key = directory.book.catalog, (provider, model)
        row = _price(directory, provider, model, now)
        timeline = catalog.entered.get(key, NO_ENTRIES)
        proposal = None if row else PriceProposals(catalog, now).for_model(provider, model)
        return ModelPrices(
            provider,
            model,
            row,
            _source(row),
            catalog.limits(provider, model),
            proposal,
            tuple((one, timeline.state(one, now)) for one in reversed(timeline.all)),
            now,
        )

    def named(self, name: str) -> ModelPrices | None:
        """The model that a name leads to: `provider/model`, an alias, or a bare name."""
        target = self._books.directory().find(name)
        return self.model(target.provider.name, target.model) if target else None

    def providers(self) -> tuple[Provider, ...]:
        return self._books.directory().providers

    def priced_by_provider(self) -> dict[str, int]:
        """How many models of each provider have a price."""
        found = Counter(line.provider for line in self.lines() if line.status is LineStatus.PRICED)
        return dict(found)

    def fetch_state(self) -> FetchState:
        return self._lists.state()

    def _unpriced(
        self,
        directory: ModelDirectory,
        used: Mapping[ModelKey, ModelUse],
        known: set[ModelKey],
        now: datetime,
    ) -> Iterator[PriceLine]:
        """Models that were asked for and that nobody prices: by the ledger, and by refusals."""
        refused: dict[ModelKey, int] = {}
        for name, count in self._use.refused().items():
            target = directory.find(name)
            if target is not None:
                key = target.provider.name, target.model
                refused[key] = refused.get(key, 0) + count
        on = {provider.name for provider in directory.providers}
        seen = {key for key, use in used.items() if use.unpriced and key[0] in on}
        for provider, model in sorted((seen | refused.keys()) - known):
            if _price(directory, provider, model, now) is not None:
                continue
            use = used.get((provider, model))
            yield PriceLine(
                provider,
                model,
                LineStatus.UNPRICED,
                last_used=use.last_day if use else None,
                requests=use.unpriced if use else 0,
                refused=refused.get((provider, model), 0),
            )


def _shown(line: PriceLine, catalog: Catalog, proposals: PriceProposals) -> ShownPrice:
    is_missing = line.status is LineStatus.UNPRICED
    proposal = proposals.for_model(line.provider, line.model) if is_missing else None
    return ShownPrice(line, catalog.limits(line.provider, line.model), proposal)


def _price(directory: ModelDirectory, provider: str, model: str, now: datetime) -> PriceRow | None:
    found = next((one for one in directory.providers if one.name == provider), None)
    return directory.price(Target(found, model), None, now) if found else None


def _source(row: PriceRow | None) -> PriceSource | None:
    if row is None:
        return None
    if row.row_id.startswith(ENTERED_PREFIX):
        return PriceSource.ENTERED
    return PriceSource.OPERATOR if is_own(row) else PriceSource.LIST
