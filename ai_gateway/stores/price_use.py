"""Which models were used of late, and how often one whose price nobody knew."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from ai_gateway.domain.price_entries import ModelKey
from ai_gateway.stores.refusal_tables import RefusalRow
from ai_gateway.stores.rollup_tables import ModelDay
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import db

UNPRICED_REASON = "model_unpriced"


@dataclass(frozen=True, slots=True)
class ModelUse:
    """Requests of one model; `last_day` is the day of the last one."""

    last_day: datetime
    requests: int
    unpriced: int


class PriceUse:
    """Reads of roll-ups by day, and of the refused requests that are kept."""

    @translated_errors()
    def by_model(self, since: datetime) -> dict[ModelKey, ModelUse]:
        query = (
            select(
                ModelDay.provider,
                ModelDay.model,
                func.max(ModelDay.day),
                func.sum(ModelDay.requests),
                func.sum(ModelDay.unpriced),
            )
            .where(ModelDay.day >= since)
            .group_by(ModelDay.provider, ModelDay.model)
        )
        return {
            # PostgreSQL sums bigint as numeric, which arrives as a Decimal.
            (provider, model): ModelUse(last, int(requests), int(unpriced))
            for provider, model, last, requests, unpriced in db.session.execute(query)
        }

    @translated_errors()
    def refused(self) -> dict[str, int]:
        """How many kept refusals were for want of a price, by the name that was asked for."""
        query = (
            select(RefusalRow.model, func.count())
            .where(RefusalRow.reason == UNPRICED_REASON)
            .group_by(RefusalRow.model)
        )
        return {model: int(count) for model, count in db.session.execute(query)}
