"""The whole installation, whether it is traced, and what is done on a clock. For staff."""

from ai_gateway.services.task_report import TaskRow
from ai_gateway.web.api.caller import Access
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


class TaskAnswer(Answer):
    """A task on a clock; without a bookkeeper so far it is due at no time."""

    name: str
    description: str
    schedule: str
    """In words; times of the day are those of the reporting zone."""
    due_at: Moment | None
    is_late: bool
    """Due for more than an hour, and nobody does it."""
    running_since: Moment | None
    last_run_at: Moment | None
    last_duration_seconds: float | None
    last_outcome: str | None
    """`ok`, `failed`, `stopped` (the next bookkeeper goes on) or `lost` (killed in the midst)."""
    last_detail: str
    """What the last run did, or why it failed, in words."""
    runs: Count
    failures: Count


class TasksAnswer(Answer):
    """What the bookkeeper does on a clock."""

    tasks: tuple[TaskAnswer, ...]


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


@get("/system/tasks/", NoQuery, TasksAnswer, Access.STAFF)
def system_tasks(_asked: Asked[NoQuery]) -> TasksAnswer:
    """When each task is due, and how its last run went."""
    return TasksAnswer(tasks=tuple(map(_task, services().tasks.rows())))


def _task(row: TaskRow) -> TaskAnswer:
    state, took = row.state, row.state.last_took
    return TaskAnswer(
        name=row.task.name,
        description=row.task.words,
        schedule=str(row.task.schedule),
        due_at=state.due_at,
        is_late=row.is_late,
        running_since=state.running_since,
        last_run_at=state.last_run_at,
        last_duration_seconds=None if took is None else took.total_seconds(),
        last_outcome=state.last_outcome,
        last_detail=state.last_detail,
        runs=state.runs,
        failures=state.failures,
    )
