"""Every panel of the boards shows something: a real Prometheus scrapes a running gateway.

Beside it a stand-in exports the whole table of metrics, for what scripted traffic does not reach.
"""

import math
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from grafana.metric_table import TABLE
from tests.grafana.made_up_gateway import exposition, made_up_gateway
from tests.grafana.prometheus_server import (
    Prometheus,
    eventually,
    fetch,
    running_prometheus,
)
from tests.grafana.promql_rules import family, labels_of
from tests.grafana.shipped import BOARDS, TARGETS, Target, load
from tests.grafana.traffic import scripted_traffic
from tests.running import RunningGateway

pytestmark = [pytest.mark.long, pytest.mark.prometheus]

GATEWAY_JOB = "ai-gateway"
MADE_UP_JOB = "made-up"
IDLE_JOB = "idle"


@pytest.fixture(scope="module")
def prometheus(
    gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    with ExitStack() as stack:
        made_up = [stack.enter_context(made_up_gateway()) for _ in range(2)]
        idle = [stack.enter_context(made_up_gateway(lambda: 1_000.0))]
        stand_ins = {MADE_UP_JOB: made_up, IDLE_JOB: idle}
        folder = tmp_path_factory.mktemp("prometheus")
        address = urlsplit(gateway.base_url).netloc
        server = stack.enter_context(running_prometheus(folder, address, stand_ins))
        stack.enter_context(scripted_traffic(gateway))
        gateway.flask("housekeeping", "run", "staff_sessions")  # hourly else
        yield server


def substituted(expr: str, job: str) -> str:
    """Fill in what Grafana would: one job, else "All" and the first word of each list."""
    spans = expr.replace("$__rate_interval", "30s").replace("$__range", "5m")
    chosen = spans.replace("$job", job).replace("$window", "day")
    return re.sub(r"\$\w+", ".*", chosen)


def _faults(server: Prometheus, target: Target, job: str) -> list[str]:
    """Say what is wrong with the answers as of now and over time."""
    expr = substituted(target.expr, job)
    found: list[str] = []
    for series in (server.now(expr), server.lately(expr)):
        values = [
            float(value) for one in series for _, value in one.get("values", [one.get("value")])
        ]
        found += [] if values else ["no data"]
        found += [f"{value} is not finite" for value in values if not math.isfinite(value)]
        for label in re.findall(r"{{(\w+)}}", target.legend):
            found += [
                f"{one['metric']} has no {label}" for one in series if label not in one["metric"]
            ]
    return found


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_panel_shows_finite_data_of_the_gateway(prometheus: Prometheus, target: Target) -> None:
    assert eventually(lambda: _faults(prometheus, target, GATEWAY_JOB)) == []


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_panel_shows_finite_data_of_the_whole_table(prometheus: Prometheus, target: Target) -> None:
    assert eventually(lambda: _faults(prometheus, target, MADE_UP_JOB)) == []


@pytest.mark.parametrize(
    "target", [target for target in TARGETS if target.kind != "timeseries"], ids=str
)
def test_tiles_of_an_idle_gateway_are_empty_rather_than_not_a_number(
    prometheus: Prometheus, target: Target
) -> None:
    settled = f'sum(rate(ai_gateway_requests_total{{job="{IDLE_JOB}"}}[30s]))'
    assert eventually(lambda: [] if prometheus.now(settled) else ["no rate yet"]) == []
    series = prometheus.now(substituted(target.expr, IDLE_JOB))
    assert [one for one in series if not math.isfinite(float(one["value"][1]))] == []


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_a_start_is_marked_on_the_board(prometheus: Prometheus, path: Path) -> None:
    (mark,) = load(path)["annotations"]["list"]
    expr = substituted(mark["expr"], MADE_UP_JOB)
    assert eventually(lambda: [] if len(prometheus.now(expr)) == 2 else ["no mark"]) == []


def test_figures_of_the_installation_are_not_multiplied_by_instances(
    prometheus: Prometheus,
) -> None:
    (limit,) = [t for t in TARGETS if t.panel == "Month to date against budget" and t.ref == "B"]
    expr = substituted(limit.expr, MADE_UP_JOB)
    assert eventually(lambda: [] if prometheus.now(expr) else ["no data"]) == []
    assert [one["value"][1] for one in prometheus.now(expr)] == ["1000"]


def test_every_rule_is_evaluated_without_an_error(prometheus: Prometheus) -> None:
    def faults() -> list[str]:
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert len(rules) == 9 + 20 + 17
        return [
            f"{rule['name']}: {rule.get('lastError')}" for rule in rules if rule["health"] != "ok"
        ]

    assert eventually(faults) == []


def test_spend_and_tokens_rise_with_the_traffic(prometheus: Prometheus) -> None:
    def faults() -> list[str]:
        return [
            name
            for name in ("ai_gateway_ledger_spend_usd", "ai_gateway_tokens_total")
            if not prometheus.now(f'max({name}{{job="{GATEWAY_JOB}"}}) > 0')
        ]

    assert eventually(faults) == []


def test_the_gateway_exports_the_table(gateway: RunningGateway, prometheus: Prometheus) -> None:
    def faults() -> list[str]:
        text = fetch(gateway.base_url, "/metrics").decode()
        return _strangers(text) + sorted(_missing(text))

    assert eventually(faults) == []


def test_a_metric_and_a_value_that_are_not_of_the_table_are_found() -> None:
    text = 'ai_gateway_novelty 1\nai_gateway_budgets{scope="team",state="ok"} 1\n'
    assert _strangers(text) == ["ai_gateway_novelty", 'ai_gateway_budgets{scope="team"}']


def test_a_metric_and_a_label_that_are_missing_are_found() -> None:
    whole = exposition(1.0)
    assert _missing(whole) == set()
    less = whole.replace("\nai_gateway_workers ", "\nai_gateway_labourers ")
    assert _missing(less.replace(',revision="some"', "")) == {
        "ai_gateway_workers",
        "ai_gateway_build_info{revision}",
    }


def _samples(text: str) -> list[tuple[str, dict[str, str]]]:
    return [
        (name, dict(re.findall(r'(\w+)="([^"]*)"', labels)))
        for name, labels in re.findall(r"(?m)^(\w+)(?:{(.*)})? ", text)
    ]


def _missing(text: str) -> set[str]:
    """Metrics of the table that a scrape lacks, and labels of those that it has."""
    seen: dict[str, set[str]] = {}
    for series, labels in _samples(text):
        metric = family(series)
        if metric is not None:
            seen.setdefault(metric.name, set()).update(labels)
    return {metric.name for metric in TABLE if metric.name not in seen} | {
        f"{metric.name}{{{label.name}}}"
        for metric in TABLE
        for label in metric.labels
        if metric.name in seen and label.name not in seen[metric.name]
    }


def _strangers(text: str) -> list[str]:
    """Series, labels and values of a scrape that the table does not know."""
    found: list[str] = []
    for series, labels in _samples(text):
        metric = family(series)
        if metric is None:
            found.append(series)
            continue
        known = labels_of(metric, series)
        found += [
            f'{series}{{{name}="{value}"}}'
            for name, value in labels.items()
            if name not in known or (known[name] and value not in known[name])
        ]
    return found


def test_metrics_pass_promtools_lint(gateway: RunningGateway, prometheus: Prometheus) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=fetch(gateway.base_url, "/metrics"),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


def test_the_whole_table_passes_promtools_lint() -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=exposition(1.0).encode(),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")
