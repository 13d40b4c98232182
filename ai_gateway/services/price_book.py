"""All prices as SQL has them: what pages and commands show, and what is published to the workers.

Workers follow within a second or two; what a page shows is what they will charge by.
"""

import logging
from datetime import datetime

from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.figures import FigureMap
from ai_gateway.services.models import ModelDirectory
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.price_entries import PriceEntryTable
from ai_gateway.stores.price_list import PriceList, UnreadableList, built_in_list
from ai_gateway.stores.price_lists import KeptList, PriceListTable
from ai_gateway.stores.published_prices import PriceState, PublishedPrices

logger = logging.getLogger(__name__)


class PriceRecords:
    """What SQL has of prices, and its copy for the workers."""

    def __init__(
        self, entries: PriceEntryTable, lists: PriceListTable, published: PublishedPrices
    ) -> None:
        self.entries = entries
        self.lists = lists
        self._published = published

    def state(self) -> PriceState:
        """As of now; raises `GatewayUnavailable`."""
        return PriceState(tuple(self.entries.entries()), self.lists.newest())

    def price_list(self, kept: KeptList | None) -> PriceList:
        """The list in force: the last good one that was fetched, else that of the release."""
        if kept is None:
            return built_in_list()
        try:
            return kept.read()
        except UnreadableList:
            logger.exception("price_list_unreadable")
            return built_in_list()

    def publish(self) -> bool:
        """Publish for the workers; False where nothing is new.

        Raises `GatewayUnavailable`, and of its kind `BudgetUnavailable` while Redis is away.
        """
        return self._published.publish(self.state)

    def publish_soon(self) -> bool:
        """The same; False while Redis is away, and then the bookkeeper does it later."""
        try:
            self.publish()
        except BudgetUnavailable:
            logger.warning("publish_postponed")
            return False
        return True


class PriceBooks:
    """Makes the directory of models by the prices of SQL, anew only where something changed."""

    def __init__(self, records: PriceRecords, models: ModelDirectory) -> None:
        self._records = records
        self._models = models
        self._base = models.book.catalog
        self._made: tuple[tuple[str, tuple[int, ...]], ModelDirectory] | None = None

    def directory(self) -> ModelDirectory:
        """The models and prices of now; raises `GatewayUnavailable`."""
        state = self._records.state()
        # An entry is never altered, so that its id stands for it.
        ids = tuple(entry.entry_id for entry in state.entries)
        key = (state.fetched.digest if state.fetched else "", ids)
        if self._made is None or self._made[0] != key:
            price_list = self._records.price_list(state.fetched)
            catalog = self._base.with_prices(price_list, state.entries)
            self._made = key, self._models.priced_by(catalog)
        return self._made[1]

    def catalog(self) -> Catalog:
        return self.directory().book.catalog


class PriceFigures:
    """How old the list of prices in force is, for `/metrics`."""

    def __init__(self, records: PriceRecords) -> None:
        self._records = records

    def read(self, now: datetime) -> FigureMap:
        kept = self._records.lists.newest()
        made_at = kept.fetched_at if kept else built_in_list().made_at(now)
        return {"price_catalog_timestamp_seconds": made_at.timestamp()} if made_at else {}
