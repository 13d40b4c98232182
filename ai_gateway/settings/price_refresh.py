"""What the operator chose about newer list prices: where they are fetched, and how often."""

from dataclasses import dataclass, field
from datetime import timedelta

from ai_gateway.settings.environment import Environment

MOST_HOURS = 30 * 24


@dataclass(frozen=True, slots=True)
class PriceRefreshSettings:
    """Nothing is fetched without a `url`, which may hold a password."""

    url: str | None = field(repr=False)
    every: timedelta


def read_price_refresh(read: Environment) -> PriceRefreshSettings:
    hours = read.integer("AI_GATEWAY_PRICES_REFRESH_HOURS", 24, low=1, high=MOST_HOURS)
    url = read.url("AI_GATEWAY_PRICES_REFRESH_URL", ("http", "https"))
    return PriceRefreshSettings(url, timedelta(hours=hours))
