"""Puts together what shows, changes, publishes and refreshes prices."""

from collections.abc import Callable
from dataclasses import dataclass

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.providers.price_feed import PriceFeed
from ai_gateway.services.audit import Audit
from ai_gateway.services.figures import FigureSource
from ai_gateway.services.live_prices import LivePrices
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.price_admin import PriceAdmin
from ai_gateway.services.price_book import PriceBooks, PriceFigures, PriceRecords
from ai_gateway.services.price_calculator import PriceCalculator
from ai_gateway.services.price_refresh import PriceRefresh
from ai_gateway.services.price_refresh_watch import PriceRefreshWatch
from ai_gateway.services.price_table import PriceTable
from ai_gateway.services.prices import Prices
from ai_gateway.settings import Settings
from ai_gateway.stores.price_entries import PriceEntryTable
from ai_gateway.stores.price_lists import PriceListTable
from ai_gateway.stores.price_use import PriceUse
from ai_gateway.stores.published_prices import PublishedPrices
from ai_gateway.stores.tables import db


@dataclass(frozen=True, slots=True)
class PriceParts:
    """What the services of prices are made on; `told` hears how it goes to read them."""

    models: ModelDirectory
    client: redis.Redis
    audit: Audit
    told: Callable[[int], object]


def prices_of(settings: Settings, parts: PriceParts, clock: Clock) -> Prices:
    """Of one worker, whose models follow what is published."""
    client, models, audit = parts.client, parts.models, parts.audit
    records = price_records(client)
    books = PriceBooks(records, models)
    return Prices(
        table=PriceTable(books, records.lists, PriceUse(), clock),
        admin=PriceAdmin(records, books, audit=audit, clock=clock),
        calculator=PriceCalculator(books, clock),
        live=LivePrices(PublishedPrices(client), models, told=parts.told),
        refresh=price_refresh(settings, records, clock),
    )


def price_records(client: redis.Redis) -> PriceRecords:
    return PriceRecords(
        PriceEntryTable(db.engine), PriceListTable(db.engine), PublishedPrices(client)
    )


def price_refresh(settings: Settings, records: PriceRecords, clock: Clock) -> PriceRefresh | None:
    """None where it is off: the operator named no address."""
    url = settings.price_refresh.url
    return PriceRefresh(PriceFeed(url).fetch, records, clock) if url else None


def refresh_watch(settings: Settings, records: PriceRecords, clock: Clock) -> Callable[[], object]:
    """What the bookkeeper does each minute: nothing where it is off, or not due."""
    refresh = price_refresh(settings, records, clock)
    if refresh is None:
        return lambda: None
    every = settings.price_refresh.every
    return PriceRefreshWatch(refresh, records.lists, every, clock).start_when_due


def price_figures(records: PriceRecords) -> FigureSource:
    return FigureSource("price_figures", 60, PriceFigures(records).read)
