"""What is exported is what the table of the boards declares: kinds, labels and buckets."""

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_state import FIGURES, SEPARATOR, InstanceFacts, State
from grafana.metric import Metric
from grafana.metric_table import BY_NAME
from tests.telemetry.facts import settled_call
from tests.telemetry.test_metrics_traffic import timed

EVERY_FIGURE = {SEPARATOR.join((family.name, *family.labels)): 1.0 for family in FIGURES}


@pytest.fixture
def exported(metrics: Metrics) -> dict[str, Family]:
    """By the names of the table."""
    metrics = Metrics(instance=InstanceFacts("abc", 1))
    metrics.settled(timed(settled_call(stream=True), 900, overhead_us=100, ttft_ms=90))
    text = metrics.scrape(State(EVERY_FIGURE, {"redis": True}, 0.0)).text.decode()
    endings = {"counter": "_total"}
    return {
        family.name + endings.get(family.type, ""): family
        for family in text_string_to_metric_families(text)
        if not family.name.endswith("_created")
    }


def test_table_and_scrape_name_the_same_families(exported: dict[str, Family]) -> None:
    assert exported.keys() == BY_NAME.keys()


def test_kinds_and_labels_are_those_of_the_table(exported: dict[str, Family]) -> None:
    for name, family in exported.items():
        declared = BY_NAME[name]
        # The text format calls an info a gauge.
        assert family.type in {declared.kind, "gauge" if declared.kind == "info" else ""}, name
        for sample in family.samples:
            labels = sample.labels.keys() - {"le"}
            assert labels == {label.name for label in declared.labels}, name
            assert not strange_values(declared, sample.labels), name


def strange_values(declared: Metric, labels: dict[str, str]) -> set[str]:
    closed = {label.name: label.values for label in declared.labels if label.values}
    made_up = {name for name in EVERY_FIGURE if declared.name.endswith(name.split(SEPARATOR)[0])}
    if made_up:
        return set()
    return {value for name, value in labels.items() if name in closed and value not in closed[name]}


def test_buckets_are_those_of_the_table(exported: dict[str, Family]) -> None:
    histograms = {name for name, metric in BY_NAME.items() if metric.kind == "histogram"}
    assert histograms
    for name in histograms:
        bounds = {s.labels["le"] for s in exported[name].samples if s.name == f"{name}_bucket"}
        assert {float(bound) for bound in bounds} == {*BY_NAME[name].buckets, float("inf")}, name
