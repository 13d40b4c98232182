"""The prices that this worker charges by: as they are published, looked at once a second."""

import logging
from collections.abc import Callable
from contextlib import suppress

from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.models import ModelDirectory
from ai_gateway.stores.price_list import PriceList, UnreadableList
from ai_gateway.stores.price_lists import KeptList
from ai_gateway.stores.published_prices import PublishedPrices, UnreadablePrices

logger = logging.getLogger(__name__)


class LivePrices:
    """Swaps the catalog of a directory as a whole; what cannot be read changes nothing.

    `told` hears 1 for what was taken, and 0 for what could not be read.
    """

    def __init__(
        self,
        published: PublishedPrices,
        models: ModelDirectory,
        *,
        told: Callable[[int], object] = lambda _success: None,
    ) -> None:
        self._published = published
        self._models = models
        self._told = told
        self._base = models.book.catalog
        self._version: str | None = None
        self._list: tuple[str, PriceList] | None = None

    def start(self) -> None:
        """Look for the first time, before anything is served; what fails is tried again."""
        with suppress(BudgetUnavailable):
            self.look()

    def look(self) -> None:
        """Take what is new; raises `BudgetUnavailable` while Redis is away."""
        version = self._published.version()
        # Where nothing is published any more, what is known still holds.
        if version is None or version == self._version:
            return
        try:
            self._take(version)
        except (UnreadablePrices, UnreadableList) as error:
            # Remembered all the same, so that it is said once and not every second.
            self._version = version
            logger.error("prices_unreadable", extra={"version": version, "cause": str(error)})
            self._told(0)

    def _take(self, version: str) -> None:
        state = self._published.load(version)
        if state is None:
            return
        price_list = self._read(state.fetched) if state.fetched else self._base.price_list
        self._models.reprice(self._base.with_prices(price_list, state.entries))
        self._version = version
        self._told(1)

    def _read(self, kept: KeptList) -> PriceList:
        if self._list is None or self._list[0] != kept.digest:
            self._list = kept.digest, kept.read()
        return self._list[1]
