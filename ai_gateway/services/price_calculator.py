"""What a call would cost, line by line: the very functions that settle a call."""

from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.money import PICO_PER_NANO
from ai_gateway.domain.pricing import Cost, PriceRow, cost_of
from ai_gateway.domain.usage import Usage
from ai_gateway.errors import InvalidRequest, ModelNotFound
from ai_gateway.services.models import Target
from ai_gateway.services.price_book import PriceBooks
from ai_gateway.stores.catalog import ModelLimits

MOST_TOKENS = 10**9


@dataclass(frozen=True, slots=True)
class Calculation:
    """The price row that holds, the lines, and the one rounding at their end."""

    target: Target
    row: PriceRow
    usage: Usage
    cost: Cost
    book_id: str
    limits: ModelLimits

    @property
    def exact_pico_usd(self) -> int:
        return sum(line.pico_usd for line in self.cost.lines)

    @property
    def rounded_by(self) -> int:
        """What rounding to a nano-dollar added, in pico-USD; negative where it took off."""
        return self.cost.total * PICO_PER_NANO - self.exact_pico_usd


class PriceCalculator:
    """Prices token counts by the prices of now, or of a moment that is to come."""

    def __init__(self, books: PriceBooks, clock: Clock) -> None:
        self._books = books
        self._clock = clock

    def calculate(
        self, model: str, usage: Usage, tier: str | None = None, moment: datetime | None = None
    ) -> Calculation:
        """Raises `InvalidRequest` for counts that no call could have, `ModelNotFound`, and
        `ModelUnpriced`.
        """
        if not usage.is_consistent:
            raise InvalidRequest(
                "Cached input and cache writes are parts of the input: together they cannot be "
                "more than it, and no count is negative.",
                "input_tokens",
            )
        models = self._books.directory()
        target = models.find(model)
        if target is None:
            raise ModelNotFound(model)
        row = models.price(target, tier, moment or self._clock())
        if row is None:
            raise models.unpriced(target)
        return Calculation(
            target, row, usage, cost_of(row, usage), models.price_book, models.limits(target)
        )
