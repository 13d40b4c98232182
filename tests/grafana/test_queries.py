"""Boards and rules keep the rules of `promql_rules.py`, which a planted fault breaks."""

import json
import re
from pathlib import Path

import promql_parser as promql
import pytest

from grafana.metric_table import BY_NAME
from tests.grafana.promql_rules import Setting, family, faults, labels_of, parse
from tests.grafana.shipped import ALERTS, BOARDS, RECORDING, TARGETS, Rule, Target, load, rules

BOARD = Setting(frozenset({"ALERTS"}))
RULE = Setting(frozenset({"up", *(rule.name for rule in RECORDING)}), is_board=False)

every_target = pytest.mark.parametrize("target", TARGETS, ids=str)


@every_target
def test_query_keeps_the_rules(target: Target) -> None:
    assert faults(target.expr, BOARD) == []


@pytest.mark.parametrize("rule", [*RECORDING, *ALERTS], ids=str)
def test_rule_keeps_the_rules(rule: Rule) -> None:
    assert faults(rule.expr, RULE) == []


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_marks_keep_the_rules(path: Path) -> None:
    for mark in load(path)["annotations"]["list"]:
        assert faults(mark["expr"], BOARD) == []


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_choices_are_labels_of_our_metrics(path: Path) -> None:
    for variable in load(path)["templating"]["list"]:
        if variable["type"] == "query":
            ((name, label),) = re.findall(
                r"^label_values\((\w+)(?:{.*})?, (\w+)\)$", variable["definition"]
            )
            assert label in {*labels_of(BY_NAME[name], name), "instance"}, variable["name"]


@every_target
def test_legend_names_labels_that_the_query_keeps(target: Target) -> None:
    wanted = set(re.findall(r"{{(\w+)}}", target.legend))
    kept: list[set[str]] = []

    def enter(node: promql.Expr) -> bool:
        # topk and bottomk choose among series and keep all their labels.
        if isinstance(node, promql.AggregateExpr) and str(node.op) not in {"topk", "bottomk"}:
            kept.append(set(node.modifier.labels) if node.modifier else set())
        return True

    promql.walk(parse(target.expr), enter)
    assert all(wanted <= labels for labels in kept)


@pytest.mark.parametrize("panel", sorted({(one.board, one.panel) for one in TARGETS}), ids=str)
def test_series_of_one_panel_can_be_told_apart(panel: tuple[str, str]) -> None:
    legends = [target.legend for target in TARGETS if (target.board, target.panel) == panel]
    assert len(set(legends)) == len(legends)


def test_columns_of_a_table_have_the_same_lines() -> None:
    lines: dict[tuple[str, str], set[str]] = {}
    for target in TARGETS:
        if target.is_table:
            by = re.findall(r"\b(?:sum|max) by \(([a-z, ]+)\)", target.expr)
            lines.setdefault((target.board, target.panel), set()).update(by or [target.expr])
    assert {len(found) for found in lines.values()} == {1}


def test_aliases_read_our_metrics_and_keep_every_instance_apart() -> None:
    """They copy counters, so a sum over instances would hide a reset from `rate`."""
    for rule in rules("gen_ai.yml"):
        (selector,) = re.findall(r"(ai_gateway_\w+)", rule.expr)
        metric = family(selector)
        assert metric is not None, selector
        (dropped,) = re.findall(r"^sum without \(([a-z, ]+)\)", rule.expr)
        assert set(dropped.split(", ")) == {label.name for label in metric.labels}, rule.name


SEL = 'job=~"$job"'


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        (f"sum(rate(ai_gateway_request_total{{{SEL}}}[1m]))", "not a metric of ours"),
        (
            f"sum(rate(ai_gateway_overhead_seconds{{{SEL}}}[1m]))",
            "not a metric of ours",  # a histogram has only its three parts
        ),
        (f'max(ai_gateway_ledger_lag_seconds{{{SEL},user="u"}})', "not to be chosen by user"),
        (
            f'max(ai_gateway_ledger_lag_seconds{{{SEL},instance="a"}})',
            "not to be chosen by instance",
        ),
        (f'max(ai_gateway_ledger_spend_usd{{{SEL},window="week"}})', "never has window=week"),
        ("max(ai_gateway_ledger_lag_seconds)", "not limited to the chosen job"),
        (f"sum(ai_gateway_requests_total{{{SEL}}})", "outside rate and increase"),
        (f"sum(ai_gateway_overhead_seconds_bucket{{{SEL}}})", "outside rate and increase"),
        (f"sum(delta(ai_gateway_requests_total{{{SEL}}}[1m]))", "outside rate and increase"),
        (f"max(rate(ai_gateway_requests_total{{{SEL}}}[1m]))", "(W) is not under sum"),
        (f"max(ai_gateway_requests_in_flight{{{SEL}}})", "(W) is not under sum"),
        (f"sum(ai_gateway_ledger_spend_usd{{{SEL}}})", "(B) is not under count or max or min"),
        (
            f"sum(increase(ai_gateway_ledger_conflicts_total{{{SEL}}}[1m]))",
            "(B) is not under count or max or min",
        ),
        (f"max(ai_gateway_ledger_conflicts_total{{{SEL}}})", "outside rate and increase"),
        (f"max(sum(ai_gateway_ledger_spend_usd{{{SEL}}}))", "(B) is not under"),
        (f"ai_gateway_dependency_up{{{SEL}}}", "(I) is not under"),
        (f"1 / max(ai_gateway_ledger_spend_usd{{{SEL}}})", "a division by something"),
        (f"month(max(ai_gateway_ledger_spend_usd{{{SEL}}}))", "UTC only"),
        (
            f"histogram_quantile(0.5, sum(rate(ai_gateway_overhead_seconds_bucket{{{SEL}}}[1m])))",
            "not sum by (le",
        ),
    ],
)
def test_a_planted_fault_is_found(expr: str, fault: str) -> None:
    (only,) = faults(expr, BOARD)
    assert fault in only


@pytest.mark.parametrize(
    ("expr", "fault"),
    [
        ("job:ai_gateway_requests:error_ratio7m > 1", "not a metric of ours"),
        ("sum by (job) (ai_gateway_budgets)", "(B) is not under"),
        ("ai_gateway_budgets > 0", "(B) is not under"),
        ("max by (job) (ai_gateway_requests_in_flight)", "(W) is not under sum"),
    ],
)
def test_a_fault_planted_in_a_rule_is_found(expr: str, fault: str) -> None:
    (only,) = faults(expr, RULE)
    assert fault in only


def test_every_query_of_the_boards_is_walked() -> None:
    texts = [json.dumps(load(path)) for path in BOARDS]
    assert sum(text.count('"refId": "') for text in texts) == len(TARGETS) + sum(
        text.count('"refId": "Variable-') for text in texts
    )
