"""The table of metrics: named as the field does, and each of them is used or said to be ad hoc."""

from collections import Counter
from itertools import pairwise

import pytest

from grafana.metric import DURATION_BUCKETS, PER_TOKEN_BUCKETS, Metric
from grafana.metric_table import TABLE
from tests.grafana.promql_rules import metric_names
from tests.grafana.shipped import ALERTS, BOARDS, RECORDING, TARGETS, load

BASE_UNITS = ("_seconds", "_usd", "_total", "_info")

every_metric = pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)


def _used() -> set[str]:
    """The metrics behind every panel, mark and alert, by name."""
    exprs = [
        *(target.expr for target in TARGETS),
        *(rule.expr for rule in (*RECORDING, *ALERTS)),
        *(mark["expr"] for path in BOARDS for mark in load(path)["annotations"]["list"]),
    ]
    return set[str]().union(*map(metric_names, exprs))


def test_every_metric_is_used_or_marked_as_ad_hoc() -> None:
    assert _used() == {metric.name for metric in TABLE if not metric.is_ad_hoc}


def test_names_are_unique() -> None:
    assert set(Counter(metric.name for metric in TABLE).values()) == {1}


@every_metric
def test_counters_alone_end_in_total_and_histograms_have_a_base_unit(metric: Metric) -> None:
    assert metric.name.startswith("ai_gateway_")
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    if metric.kind in {"histogram", "summary"}:
        assert metric.name.endswith((*BASE_UNITS, "_tokens"))


@every_metric
def test_only_histograms_have_buckets_and_these_rise(metric: Metric) -> None:
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert all(lower < upper for lower, upper in pairwise(metric.buckets))


@every_metric
def test_help_is_one_sentence(metric: Metric) -> None:
    assert metric.help.endswith(".")
    assert metric.help.count(". ") == 0


@every_metric
def test_counters_know_no_user_and_no_budget(metric: Metric) -> None:
    """Series in the workers' files can never be removed."""
    if metric.place == "W":
        assert {label.name for label in metric.labels}.isdisjoint({"user", "key", "name", "path"})


def test_durations_have_every_boundary_of_opentelemetry() -> None:
    """Else the aliases of `gen_ai.yml` would be estimates."""
    assert {round(0.01 * 2**power, 2) for power in range(14)} <= set(DURATION_BUCKETS)
    of_tokens = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5}
    assert of_tokens <= set(PER_TOKEN_BUCKETS)
