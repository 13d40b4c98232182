"""All that has to do with prices, for whoever shows or changes them."""

from dataclasses import dataclass

from ai_gateway.services.live_prices import LivePrices
from ai_gateway.services.price_admin import PriceAdmin
from ai_gateway.services.price_calculator import PriceCalculator
from ai_gateway.services.price_refresh import PriceRefresh
from ai_gateway.services.price_table import PriceTable


@dataclass(frozen=True, slots=True)
class Prices:
    """`refresh` is None where the operator named no address; `live` is of this worker."""

    table: PriceTable
    admin: PriceAdmin
    calculator: PriceCalculator
    live: LivePrices
    refresh: PriceRefresh | None
