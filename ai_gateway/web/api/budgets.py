"""One budget as the API tells it."""

from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import NamedTuple

from ai_gateway.domain.limits import BudgetState, Limit
from ai_gateway.domain.money import Money
from ai_gateway.web.api.fields import Answer, Moment, NanoUsd, Number, Usd

CENT = Decimal("0.01")


class BudgetAnswer(Answer):
    """Spend against a limit. Limit, remaining and percent are null without a limit."""

    spend: Usd
    spend_nano_usd: NanoUsd
    limit: Usd | None
    limit_nano_usd: NanoUsd | None
    remaining: Usd | None
    remaining_nano_usd: NanoUsd | None
    percent_used: Number | None
    """Rounded down to two decimals: what is not used up does not read as 100."""
    status: BudgetState
    resets_at: Moment


class Used(NamedTuple):
    """One budget as it is told; without a limit there is nothing to remain."""

    spend: Money
    limit: Money | None
    remaining: Money | None
    percent: Decimal | None

    @classmethod
    def of(cls, spent: Money, limit: Limit) -> "Used":
        if not limit.is_amount:
            return cls(spent, None, None, None)
        remaining = Money(max(0, limit.amount - spent))
        if limit.amount == 0:
            # Nothing may be spent, so all of it is used up.
            return cls(spent, limit.amount, remaining, Decimal(100))
        percent = (Decimal(spent) * 100 / limit.amount).quantize(CENT, ROUND_DOWN)
        return cls(spent, limit.amount, remaining, percent)


def budget_answer(used: Used, state: BudgetState, resets_at: datetime) -> BudgetAnswer:
    return BudgetAnswer(
        spend=used.spend,
        spend_nano_usd=used.spend,
        limit=used.limit,
        limit_nano_usd=used.limit,
        remaining=used.remaining,
        remaining_nano_usd=used.remaining,
        percent_used=used.percent,
        status=state,
        resets_at=resets_at,
    )
