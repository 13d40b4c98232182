"""Usage over time and by model: what the charts and tables of the pages show."""

from typing import Literal

from ai_gateway.errors import InvalidRequest
from ai_gateway.services.analytics import Step, UsageSums
from ai_gateway.services.periods import AskedRange, RangeName
from ai_gateway.services.usage_report import Dimension, ProviderUsage
from ai_gateway.web.api.endpoint import Asked, get
from ai_gateway.web.api.fields import Absent, Answer, Count, Moment, NanoUsd, Usd
from ai_gateway.web.api.spans import Span, SpanQuery, asked_range, span_of
from ai_gateway.web.api.sums import Sums, sums_of
from ai_gateway.web.context import services

MAX_HOURLY_DAYS = 31


class SeriesQuery(SpanQuery):
    """Which span, of whom, split by what."""

    by: Literal["provider", "model"] = "provider"
    step: Step | Absent = None
    """How long each point is: a day, but an hour for `24h` and for at most two days. Hours are
    there for at most 31 days."""


class Point(Answer):
    """The sums of one hour or day, or of all of them."""

    cost_usd: Usd
    cost_nano_usd: NanoUsd
    requests: Count
    error_count: Count
    tokens: Count


class LineAnswer(Answer):
    """One provider, or one model as `provider/model`, over time."""

    name: str
    total: Point
    points: list[Point]
    """One for each of `starts`."""


class SeriesAnswer(Answer):
    """The lines, the dearest first."""

    span: Span
    user_id: int | None
    """Null is the whole installation."""
    by: Literal["provider", "model"]
    step: Step
    total: Point
    starts: list[Moment]
    """When each hour or day begins."""
    series: list[LineAnswer]


class ModelAnswer(Answer):
    """What went to one model."""

    model: str
    total: Sums


class ProviderAnswer(Answer):
    """What went to one provider; its models, the dearest first."""

    provider: str
    total: Sums
    previous: Sums | None
    models: list[ModelAnswer]


class ModelsAnswer(Answer):
    """What went where. `previous` is as long a span before, cut at the hour that has been reached;
    null in the first hour.
    """

    span: Span
    user_id: int | None
    """Null is the whole installation."""
    total: Sums
    previous: Sums | None
    providers: list[ProviderAnswer]


@get("/series/", SeriesQuery, SeriesAnswer)
def series(asked: Asked[SeriesQuery]) -> SeriesAnswer:
    """Cost, requests, errors and tokens over time, by provider or by model."""
    query, user_id = asked.given, asked.caller.subject(asked.given.user_id)
    asked_span = asked_range(query)
    _check_step(asked_span, query.step)
    usage = services().usage.usage(asked_span, user_id, query.step)
    found = usage.series(Dimension(query.by))
    return SeriesAnswer(
        span=span_of(usage.period),
        user_id=user_id,
        by=query.by,
        step=usage.period.step,
        total=_point(usage.current),
        starts=list(found.starts),
        series=[
            LineAnswer(name=line.name, total=_point(line.total), points=[*map(_point, line.sums)])
            for line in found.lines
        ],
    )


@get("/models/", SpanQuery, ModelsAnswer)
def models(asked: Asked[SpanQuery]) -> ModelsAnswer:
    """Usage of each provider and each of its models, beside the span before."""
    user_id = asked.caller.subject(asked.given.user_id)
    usage = services().usage.usage(asked_range(asked.given), user_id)
    return ModelsAnswer(
        span=span_of(usage.period),
        user_id=user_id,
        total=sums_of(usage.current),
        previous=_optional(usage.previous),
        providers=[_provider(row) for row in usage.providers],
    )


def _check_step(asked: AskedRange, step: Step | None) -> None:
    if asked.name is RangeName.HOURS_24 and step is Step.DAY:
        raise InvalidRequest("range=24h has no whole days: use step=hour.", "step")
    if asked.first and asked.last and step is Step.HOUR:
        days = (asked.last - asked.first).days + 1
        if days > MAX_HOURLY_DAYS:
            raise InvalidRequest(f"step=hour is for at most {MAX_HOURLY_DAYS} days.", "step")


def _point(sums: UsageSums) -> Point:
    return Point(
        cost_usd=sums.cost,
        cost_nano_usd=sums.cost,
        requests=sums.requests,
        error_count=sums.failures,
        tokens=sums.tokens,
    )


def _provider(row: ProviderUsage) -> ProviderAnswer:
    return ProviderAnswer(
        provider=row.provider,
        total=sums_of(row.sums),
        previous=_optional(row.previous),
        models=[ModelAnswer(model=one.model, total=sums_of(one.sums)) for one in row.models],
    )


def _optional(sums: UsageSums | None) -> Sums | None:
    return None if sums is None else sums_of(sums)
