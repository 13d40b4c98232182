"""What a user may ask about themselves: usage, and how the budgets stand."""

from ai_gateway.domain.limits import BudgetState, worse
from ai_gateway.services.key_holder import UserStanding
from ai_gateway.web.api.budgets import Used
from ai_gateway.web.api.endpoint import Asked, get
from ai_gateway.web.api.fields import (
    Answer,
    Count,
    Days,
    Moment,
    NanoUsd,
    NoQuery,
    Number,
    Query,
    Usd,
)
from ai_gateway.web.api.sums import average_cost, average_latency
from ai_gateway.web.context import services


class UserQuery(Query):
    """How far back."""

    days: Days = 30
    """Today so far and the days before it, so many in all."""


class UserUsage(Answer):
    """What a user used, by the ledger, and what counts against the limits, by the counters."""

    user_id: int
    period_days: int
    total_cost_usd: Usd
    total_cost_nano_usd: NanoUsd
    total_tokens: Count
    total_requests: Count
    avg_latency_ms: Number | None
    """Null without a request."""
    avg_cost_per_request: Usd | None
    """Total cost by total requests; null without a request."""
    avg_cost_per_request_nano_usd: NanoUsd | None
    daily_spend: Usd
    daily_spend_nano_usd: NanoUsd
    monthly_spend: Usd
    monthly_spend_nano_usd: NanoUsd
    daily_limit: Usd | None
    """Null where there is no limit."""
    daily_limit_nano_usd: NanoUsd | None
    monthly_limit: Usd | None
    monthly_limit_nano_usd: NanoUsd | None
    limit_status: BudgetState
    """The worse of both budgets: `warning` from 80 %, `exceeded` from 100 % or when the last call
    was refused."""


class SpendLimit(Answer):
    """Both budgets by the counters. Limit, remaining and percent are null without a limit."""

    within_limits: bool
    daily_spend: Usd
    daily_spend_nano_usd: NanoUsd
    daily_limit: Usd | None
    daily_limit_nano_usd: NanoUsd | None
    daily_remaining: Usd | None
    daily_remaining_nano_usd: NanoUsd | None
    daily_percent_used: Number | None
    """Rounded down to two decimals: what is not used up does not read as 100."""
    daily_resets_at: Moment
    monthly_spend: Usd
    monthly_spend_nano_usd: NanoUsd
    monthly_limit: Usd | None
    monthly_limit_nano_usd: NanoUsd | None
    monthly_remaining: Usd | None
    monthly_remaining_nano_usd: NanoUsd | None
    monthly_percent_used: Number | None
    monthly_resets_at: Moment
    warning_message: str | None
    blocked: bool


@get("/user/", UserQuery, UserUsage)
def user_usage(asked: Asked[UserQuery]) -> UserUsage:
    """Usage and budgets of whoever asks."""
    report = services().analytics.user(asked.caller.user.user_id, asked.given.days)
    sums, standing = report.usage.current, report.standing
    average = average_cost(sums)
    daily = Used.of(standing.day.spent, standing.day.limit)
    monthly = Used.of(standing.month.spent, standing.month.limit)
    return UserUsage(
        user_id=asked.caller.user.user_id,
        period_days=asked.given.days,
        total_cost_usd=sums.cost,
        total_cost_nano_usd=sums.cost,
        total_tokens=sums.tokens,
        total_requests=sums.requests,
        avg_latency_ms=average_latency(sums),
        avg_cost_per_request=average,
        avg_cost_per_request_nano_usd=average,
        daily_spend=daily.spend,
        daily_spend_nano_usd=daily.spend,
        monthly_spend=monthly.spend,
        monthly_spend_nano_usd=monthly.spend,
        daily_limit=daily.limit,
        daily_limit_nano_usd=daily.limit,
        monthly_limit=monthly.limit,
        monthly_limit_nano_usd=monthly.limit,
        limit_status=worse(standing.day.state, standing.month.state),
    )


@get("/user/spend-limit/", NoQuery, SpendLimit)
def user_spend_limit(asked: Asked[NoQuery]) -> SpendLimit:
    """Daily and monthly spend of whoever asks, the limits, and what remains."""
    user_id = asked.caller.user.user_id
    return spend_limit_of(services().key_holder.standing(user_id, services().zone))


def spend_limit_of(standing: UserStanding) -> SpendLimit:
    states = {standing.day.state, standing.month.state}
    daily = Used.of(standing.day.spent, standing.day.limit)
    monthly = Used.of(standing.month.spent, standing.month.limit)
    return SpendLimit(
        within_limits=BudgetState.EXCEEDED not in states,
        daily_spend=daily.spend,
        daily_spend_nano_usd=daily.spend,
        daily_limit=daily.limit,
        daily_limit_nano_usd=daily.limit,
        daily_remaining=daily.remaining,
        daily_remaining_nano_usd=daily.remaining,
        daily_percent_used=daily.percent,
        daily_resets_at=standing.day.resets_at,
        monthly_spend=monthly.spend,
        monthly_spend_nano_usd=monthly.spend,
        monthly_limit=monthly.limit,
        monthly_limit_nano_usd=monthly.limit,
        monthly_remaining=monthly.remaining,
        monthly_remaining_nano_usd=monthly.remaining,
        monthly_percent_used=monthly.percent,
        monthly_resets_at=standing.month.resets_at,
        warning_message=_warning(standing),
        blocked=any(
            budget.state is BudgetState.EXCEEDED and budget.limit.is_ceiling
            for budget in (standing.day, standing.month)
        ),
    )


def _warning(standing: UserStanding) -> str | None:
    for name, budget in (("daily", standing.day), ("monthly", standing.month)):
        if budget.state is BudgetState.EXCEEDED:
            return f"Your {name} budget is used up, or has no room for your last call."
    for name, budget in (("daily", standing.day), ("monthly", standing.month)):
        if budget.state is BudgetState.WARNING:
            return f"You have used at least 80 % of your {name} budget."
    return None
