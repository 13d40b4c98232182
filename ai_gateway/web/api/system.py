"""The whole installation, and whether it is traced. For staff."""

from ai_gateway.web.api.caller import Access
from ai_gateway.web.api.endpoint import Asked, get
from ai_gateway.web.api.fields import Answer, Count, Days, NanoUsd, NoQuery, Number, Query, Usd
from ai_gateway.web.api.sums import average_cost, error_percent
from ai_gateway.web.context import services


class SystemQuery(Query):
    """How far back."""

    days: Days = 7
    """Today so far and the days before it, so many in all."""


class ProviderCost(Answer):
    """What went to one provider."""

    cost: Usd
    cost_nano_usd: NanoUsd
    requests: Count


class SystemUsage(Answer):
    """What all users used, by the ledger."""

    period_days: int
    total_cost_usd: Usd
    total_cost_nano_usd: NanoUsd
    total_tokens: Count
    total_requests: Count
    error_count: Count
    """Admitted requests that failed; those that a client cancelled did not."""
    error_rate: Number | None
    """Percent of the requests that failed, to four decimals; null without a request."""
    avg_cost_per_request: Usd | None
    """Total cost by total requests; null without a request."""
    avg_cost_per_request_nano_usd: NanoUsd | None
    providers: dict[str, ProviderCost]
    """By the name of the provider, the dearest first."""


class TracingAnswer(Answer):
    """Whether calls are traced, and whether the traces arrive."""

    enabled: bool
    project: str | None
    endpoint: str | None
    connected: bool
    error: str | None
    """The class of the last failure; null where nothing failed or nothing was tried."""


@get("/system/", SystemQuery, SystemUsage, Access.STAFF)
def system_usage(asked: Asked[SystemQuery]) -> SystemUsage:
    """Usage of the whole installation, with the part of each provider."""
    usage = services().usage.last_days(asked.given.days)
    sums, average = usage.current, average_cost(usage.current)
    return SystemUsage(
        period_days=asked.given.days,
        total_cost_usd=sums.cost,
        total_cost_nano_usd=sums.cost,
        total_tokens=sums.tokens,
        total_requests=sums.requests,
        error_count=sums.failures,
        error_rate=error_percent(sums),
        avg_cost_per_request=average,
        avg_cost_per_request_nano_usd=average,
        providers={
            row.provider: ProviderCost(
                cost=row.sums.cost, cost_nano_usd=row.sums.cost, requests=row.sums.requests
            )
            for row in usage.providers
        },
    )


@get("/langsmith/health/", NoQuery, TracingAnswer, Access.STAFF)
def langsmith_health(_asked: Asked[NoQuery]) -> TracingAnswer:
    """Whether traces are sent to LangSmith, and whether they arrive. Nothing is called for it."""
    health = services().tracing_health()
    return TracingAnswer(
        enabled=health.enabled,
        project=health.project,
        endpoint=health.endpoint,
        connected=health.connected,
        error=health.error,
    )
