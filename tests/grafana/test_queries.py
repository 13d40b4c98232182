"""The rules for the boards' PromQL, held by a walk through each expression.

A counter of the workers counts from zero in each life of the service, so only `rate` and
`increase` of it mean something. A figure of the whole installation is repeated by every instance,
so a sum over it would multiply it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import promql_parser as promql
import pytest

from ai_gateway.telemetry.metrics import Metrics, State

BOARDS = Path(__file__).parents[2] / "grafana" / "dashboards"

COUNTERS = {
    "ai_gateway_requests_total": {"operation", "provider", "model", "stream", "outcome"},
    "ai_gateway_tokens_total": {"provider", "model", "type"},
    "ai_gateway_cost_usd_total": {"provider", "model", "type"},
}
"""What the workers count, with the labels; instances are added up."""

STATES = {
    "ai_gateway_ledger_spend_usd": {"window"},
    "ai_gateway_ledger_lag_seconds": set[str](),
    "ai_gateway_dependency_up": {"dependency", "instance"},
    "ai_gateway_build_info": {"version", "python", "server", "instance"},
}
"""What instances repeat; `instance` stands where each has a figure of its own."""

LABELS = {name: labels | {"job", "instance"} for name, labels in COUNTERS.items()} | {
    name: labels | {"job"} for name, labels in STATES.items()
}
CALENDAR = {
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
    "year",
}
"""They know UTC only, and the gateway's days follow its own zone."""


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel."""

    panel: str
    ref: str
    expr: str
    legend: str
    is_table: bool

    def __str__(self) -> str:
        return f"{self.panel} {self.ref}"


def _targets() -> Iterator[Target]:
    for path in sorted(BOARDS.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield Target(
                    panel=panel["title"],
                    ref=target["refId"],
                    expr=target["expr"],
                    legend=target["legendFormat"],
                    is_table=target["format"] == "table",
                )


TARGETS = list(_targets())
every_target = pytest.mark.parametrize("target", TARGETS, ids=str)


def parse(expr: str) -> promql.Expr:
    """Parse as Prometheus would see it, with Grafana's two spans filled in."""
    parsed: promql.Expr = promql.parse(
        expr.replace("$__rate_interval", "1m").replace("$__range", "1h")
    )
    return parsed


def faults(expr: str) -> list[str]:
    """Say what breaks a rule in `expr`; empty when all is well."""
    found: list[str] = []
    above: list[promql.Expr] = []

    def enter(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.extend(_selector_faults(node, above))
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


def _selector_faults(node: promql.VectorSelector, above: list[promql.Expr]) -> Iterator[str]:
    name = node.name or ""
    if name not in LABELS:
        yield f"{name} is not a metric of ours"
        return
    for matcher in node.matchers.matchers:
        if matcher.name not in LABELS[name]:
            yield f"{name} is not to be chosen by {matcher.name}"
    if "job" not in {matcher.name for matcher in node.matchers.matchers}:
        yield f"{name} is not limited to the chosen job"
    calls = [parent.func.name for parent in above if isinstance(parent, promql.Call)]
    sums = [str(parent.op) for parent in above if isinstance(parent, promql.AggregateExpr)]
    if name in COUNTERS and (not calls or calls[-1] not in {"rate", "increase"}):
        yield f"{name} is a counter outside rate and increase"
    if name in COUNTERS and (not sums or sums[-1] != "sum"):
        yield f"{name} is a counter that is not summed over instances"
    if name in STATES and (not sums or sums[-1] not in {"max", "min", "count"}):
        yield f"{name} is repeated by every instance and not under max, min or count"


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


def test_the_tables_here_are_what_the_gateway_declares() -> None:
    figures = {"spend_day_nano_usd": 1.0, "spend_month_nano_usd": 1.0, "lag_seconds": 0.0}
    text = Metrics(slot=0).scrape(State(figures, dependencies={"redis": True})).decode()

    declared = {name: set[str]() for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)}
    for name, labels in re.findall(r"^(\w+)(?:{(.*)})? ", text, re.MULTILINE):
        declared[name] |= set(re.findall(r'(\w+)="', labels))

    assert set(declared) == set(COUNTERS) | set(STATES)
    assert {name: declared[name] for name in STATES} == {
        name: labels - {"instance"} for name, labels in STATES.items()
    }


@every_target
def test_query_keeps_the_rules(target: Target) -> None:
    assert faults(target.expr) == []


@every_target
def test_legend_names_labels_that_the_query_keeps(target: Target) -> None:
    wanted = set(re.findall(r"{{(\w+)}}", target.legend))
    kept: list[set[str]] = []

    def enter(node: promql.Expr) -> bool:
        if isinstance(node, promql.AggregateExpr):
            kept.append(set(node.modifier.labels) if node.modifier else set())
        return True

    promql.walk(parse(target.expr), enter)
    assert all(wanted <= labels for labels in kept)


@pytest.mark.parametrize("panel", sorted({target.panel for target in TARGETS}))
def test_series_of_one_panel_can_be_told_apart(panel: str) -> None:
    legends = [target.legend for target in TARGETS if target.panel == panel]
    assert len(set(legends)) == len(legends)


def test_columns_of_a_table_have_the_same_lines() -> None:
    for target in TARGETS:
        if target.is_table:
            assert "sum by (provider, model)" in target.expr, target


SEL = 'job=~"$job"'


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        (f"sum(rate(ai_gateway_request_total{{{SEL}}}[1m]))", "not a metric of ours"),
        (f'max(ai_gateway_ledger_lag_seconds{{{SEL},user="u"}})', "not to be chosen by user"),
        (
            f'max(ai_gateway_ledger_lag_seconds{{{SEL},instance="a"}})',
            "not to be chosen by instance",
        ),
        ("max(ai_gateway_ledger_lag_seconds)", "not limited to the chosen job"),
        (f"sum(ai_gateway_requests_total{{{SEL}}})", "outside rate and increase"),
        (f"sum(delta(ai_gateway_requests_total{{{SEL}}}[1m]))", "outside rate and increase"),
        (f"max(rate(ai_gateway_requests_total{{{SEL}}}[1m]))", "not summed over instances"),
        (f"sum(ai_gateway_ledger_spend_usd{{{SEL}}})", "repeated by every instance"),
        (f"max(sum(ai_gateway_ledger_spend_usd{{{SEL}}}))", "repeated by every instance"),
        (f"ai_gateway_dependency_up{{{SEL}}}", "repeated by every instance"),
        (f"1 / max(ai_gateway_ledger_spend_usd{{{SEL}}})", "a division by something"),
        (f"month(max(ai_gateway_ledger_spend_usd{{{SEL}}}))", "UTC only"),
        (
            f"histogram_quantile(0.5, sum(rate(ai_gateway_requests_total{{{SEL}}}[1m])))",
            "not sum by (le",
        ),
    ],
)
def test_a_planted_fault_is_found(expr: str, fault: str) -> None:
    (only,) = faults(expr)
    assert fault in only
