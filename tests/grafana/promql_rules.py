"""The rules for our PromQL, held by a walk through each expression.

A counter of the workers counts from zero in each life of the service, so only `rate` and
`increase` of it mean something. A figure of the whole installation is repeated by every instance,
so a sum over it would multiply it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import promql_parser as promql

from grafana.metric import Metric
from grafana.metric_table import BY_NAME

CALENDAR = {
    *("day_of_month", "day_of_week", "day_of_year", "days_in_month"),
    *("hour", "minute", "month", "year"),
}
"""They know UTC only, and the gateway's days follow its own zone."""

PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
EXTREMES = {"max", "min", "count"}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where an expression stands: what it may use beside our metrics, and what a board asks."""

    foreign: frozenset[str]
    """Series of Prometheus itself, and what recording rules make."""
    is_board: bool = field(default=True)
    """Boards limit every query to the chosen job, and show no instance for itself."""


def parse(expr: str) -> promql.Expr:
    """Parse as Prometheus would see it, with Grafana's two spans filled in."""
    parsed: promql.Expr = promql.parse(
        expr.replace("$__rate_interval", "1m").replace("$__range", "1h")
    )
    return parsed


def series_names(expr: str) -> set[str]:
    """Name the series that `expr` reads."""
    names: set[str] = set()

    def enter(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            names.add(node.name or "")
        return True

    promql.walk(parse(expr), enter)
    return names


def family(series: str) -> Metric | None:
    """Find the metric that a series belongs to: a histogram has three kinds of them."""
    if series in BY_NAME:
        metric = BY_NAME[series]
        return None if metric.kind in PARTS else metric
    for kind, suffixes in PARTS.items():
        for suffix in suffixes:
            found = BY_NAME.get(series.removesuffix(suffix)) if series.endswith(suffix) else None
            if found is not None and found.kind == kind:
                return found
    return None


def metric_names(expr: str) -> set[str]:
    """Name the metrics of ours that `expr` reads."""
    return {metric.name for metric in map(family, series_names(expr)) if metric is not None}


def labels_of(metric: Metric, series: str) -> dict[str, tuple[str, ...]]:
    """Give the labels that a series may be chosen by, with their closed sets."""
    labels = {label.name: label.values for label in metric.labels} | {"job": ()}
    if metric.place != "B":
        labels["instance"] = ()
    if series.endswith("_bucket"):
        labels["le"] = ()
    return labels


def faults(expr: str, setting: Setting) -> list[str]:
    """Say what breaks a rule in `expr`; empty when all is well."""
    found: list[str] = []
    above: list[promql.Expr] = []

    def enter(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector) and node.name not in setting.foreign:
            found.extend(_selector_faults(node, above, setting))
        elif isinstance(node, promql.BinaryExpr):
            found.extend(_division_faults(node))
        elif isinstance(node, promql.Call):
            found.extend(_call_faults(node))
        above.append(node)
        return True

    def leave(_: promql.Expr) -> bool:
        above.pop()
        return True

    promql.walk(parse(expr), enter, leave)
    return found


def _selector_faults(
    node: promql.VectorSelector, above: list[promql.Expr], setting: Setting
) -> Iterator[str]:
    name = node.name or ""
    metric = family(name)
    if metric is None:
        yield f"{name} is not a metric of ours"
        return
    yield from _matcher_faults(node, metric)
    if setting.is_board and "job" not in {matcher.name for matcher in node.matchers.matchers}:
        yield f"{name} is not limited to the chosen job"
    calls = [parent.func.name for parent in above if isinstance(parent, promql.Call)]
    sums = [str(parent.op) for parent in above if isinstance(parent, promql.AggregateExpr)]
    if metric.kind in {"counter", *PARTS} and (not calls or calls[-1] not in {"rate", "increase"}):
        yield f"{name} is a counter outside rate and increase"
    if calls[-1:] == ["absent"] or (not sums and metric.place != "B" and not setting.is_board):
        return
    allowed = {"sum"} if metric.place == "W" else EXTREMES
    if not sums or sums[-1] not in allowed:
        yield f"{name} ({metric.place}) is not under {' or '.join(sorted(allowed))}"


def _matcher_faults(node: promql.VectorSelector, metric: Metric) -> Iterator[str]:
    labels = labels_of(metric, node.name or "")
    for matcher in node.matchers.matchers:
        if matcher.name not in labels:
            yield f"{node.name} is not to be chosen by {matcher.name}"
            continue
        values = labels[matcher.name]
        asked = [] if "$" in matcher.value else matcher.value.split("|")
        yield from (
            f"{node.name} never has {matcher.name}={value}"
            for value in asked
            if values and value not in values
        )


def _division_faults(node: promql.BinaryExpr) -> Iterator[str]:
    if str(node.op) != "/" or isinstance(node.rhs, promql.NumberLiteral):
        return
    inner = node.rhs.expr if isinstance(node.rhs, promql.ParenExpr) else None
    if not (isinstance(inner, promql.BinaryExpr) and str(inner.op) == ">"):
        yield "a division by something that may be 0: write / (... > 0)"


def _call_faults(node: promql.Call) -> Iterator[str]:
    if node.func.name in CALENDAR:
        yield f"{node.func.name} knows UTC only"
    if node.func.name == "histogram_quantile":
        inner = node.args[1]
        modifier = inner.modifier if isinstance(inner, promql.AggregateExpr) else None
        if modifier is None or "le" not in modifier.labels:
            yield "a quantile of something that is not sum by (le, ...)"
