"""Charts of usage over time, with the labels and links of the reporting zone."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import request

from ai_gateway.services.periods import AskedRange, Period, RangeName
from ai_gateway.services.usage_report import OTHERS, Series
from ai_gateway.stores.usage_sums import Step, UsageSums
from ai_gateway.web import formatting
from ai_gateway.web.admin import charts
from ai_gateway.web.admin.charts import Chart, ChartKind, SeriesRole, Value, fold_series
from ai_gateway.web.admin.ranges import range_parameters


class Measure(StrEnum):
    """What is drawn."""

    COST = "cost"
    TOKENS = "tokens"
    REQUESTS = "requests"


_VALUES: Mapping[Measure, Callable[[UsageSums], int]] = MappingProxyType(
    {
        Measure.COST: lambda sums: sums.cost,
        Measure.TOKENS: lambda sums: sums.tokens,
        Measure.REQUESTS: lambda sums: sums.requests,
    }
)
_TITLES = MappingProxyType(
    {
        Measure.COST: "Cost over time",
        Measure.TOKENS: "Tokens over time",
        Measure.REQUESTS: "Requests over time",
    }
)
PACE = "Budget pace"


def usage_chart(
    series: Series, period: Period, *, measure: Measure, zone: ZoneInfo, pace: Value | None = None
) -> Chart:
    """Stacked bars; `pace` is what each day may cost if the monthly budget is used evenly."""
    value = _VALUES[measure]
    lines = [
        charts.Series(line.name, tuple(map(value, line.sums)))
        for line in series.lines
        if line.name != OTHERS
    ]
    rest = [
        charts.Series(line.name, tuple(map(value, line.sums)), SeriesRole.REST)
        for line in series.lines
        if line.name == OTHERS
    ]
    plan = [] if pace is None else [_plan(pace, len(series.starts))]
    return Chart(
        id="usage-chart",
        title=_TITLES[measure],
        kind=ChartKind.BARS,
        labels=start_labels(series.starts, period, zone),
        series=(*fold_series(lines), *rest, *plan),
        form=_money if measure is Measure.COST else _count,
        links=_links(series, period, zone, request.path),
        label_name="Day" if period.step is Step.DAY else "Hour",
    )


def start_labels(starts: tuple[datetime, ...], period: Period, zone: ZoneInfo) -> tuple[str, ...]:
    """What stands below the bars of a period."""
    form = formatting.short_day if period.step is Step.DAY else formatting.short_hour
    return tuple(form(start, zone) for start in starts)


def _links(series: Series, period: Period, zone: ZoneInfo, address: str) -> tuple[str, ...]:
    """From a day to its hours."""
    if period.step is not Step.DAY:
        return ()
    days = (start.astimezone(zone).date() for start in series.starts)
    asked = (range_parameters(AskedRange(RangeName.CUSTOM, day, day)) for day in days)
    return tuple(f"{address}?{urlencode(values)}" for values in asked)


def _plan(pace: Value, count: int) -> charts.Series:
    return charts.Series(PACE, (pace,) * count, SeriesRole.PLAN)


def _money(value: Value) -> str:
    return formatting.money(value)


def _count(value: Value) -> str:
    return formatting.count(int(value))
