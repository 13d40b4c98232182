"""What Prometheus scrapes: labels from closed sets, and sums that add up."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.domain.money import Money
from ai_gateway.domain.pricing import SEARCH_KIND, PriceRow, cost_of
from ai_gateway.domain.usage import Usage
from ai_gateway.telemetry.metrics import OTHER_MODEL, Metrics, State, model_label
from ai_gateway.telemetry.observer import LocalCall
from tests.domain.facts import price_rows, usages
from tests.telemetry.facts import CALL, settled_call

TYPES = {
    *("input", "cached_input", "cache_write", "cache_write_long", "output", "reasoning"),
    *("audio_input", "audio_output", "image_input"),
}
"""The types of `docs/metrics.md`; of costs also `tool` and `per_request`."""

NOTHING = State(figures=None, dependencies={})


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Metrics:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return Metrics(slot=0)


def families(metrics: Metrics, state: State = NOTHING) -> dict[str, Metric]:
    text = metrics.scrape(state).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(
    metrics: Metrics, name: str, state: State = NOTHING
) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and value of each sample of a counter or gauge."""
    family = families(metrics, state).get(name.removesuffix("_total"))
    for sample in family.samples if family else ():
        if sample.name == name:
            yield sample.labels, sample.value


def by_type(metrics: Metrics, name: str) -> dict[str, float]:
    return {labels["type"]: value for labels, value in samples(metrics, name)}


def test_settled_call_counts_once_in_its_outcome(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    metrics.settled(settled_call(outcome=Outcome.CANCELLED, stream=True))
    common = {"operation": "chat", "provider": "openai", "model": "gpt-4o-mini"}
    assert list(samples(metrics, "ai_gateway_requests_total")) == [
        (common | {"stream": "false", "outcome": "success"}, 1.0),
        (common | {"stream": "true", "outcome": "cancelled"}, 1.0),
    ]


def test_local_answer_counts_without_provider_and_model(metrics: Metrics) -> None:
    metrics.answered_locally(
        LocalCall("req_1", Operation.MESSAGES, Outcome.AUTH_ERROR, "invalid", stream=True)
    )
    assert list(samples(metrics, "ai_gateway_requests_total")) == [
        (
            {
                "operation": "messages",
                "provider": "",
                "model": "",
                "stream": "true",
                "outcome": "auth_error",
            },
            1.0,
        )
    ]


def test_tokens_are_counted_in_disjoint_types(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    assert by_type(metrics, "ai_gateway_tokens_total") == {
        "input": 60,
        "cached_input": 40,
        "output": 30,
        "reasoning": 20,
    }


def test_cost_is_counted_in_dollars(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    metrics.settled(settled_call())
    assert by_type(metrics, "ai_gateway_cost_usd_total") == pytest.approx(
        {"input": 120e-9, "cached_input": 80e-9, "output": 1000e-9}
    )


def test_what_has_no_type_of_its_own_is_put_to_its_parent(metrics: Metrics) -> None:
    usage = Usage(
        input_tokens=10,
        cached_input_tokens=4,
        audio_input_tokens=4,
        cached_audio_tokens=4,
        output_tokens=9,
        image_output_tokens=9,
        web_searches=2,
    )
    by_kind = {"cached_audio": Money(10**9), "image_output": Money(2 * 10**9)}
    metrics.settled(settled_call(usage=usage, by_kind=by_kind | {SEARCH_KIND: Money(3 * 10**9)}))
    assert by_type(metrics, "ai_gateway_tokens_total") == {
        "input": 6,
        "cached_input": 4,
        "output": 9,
    }
    assert by_type(metrics, "ai_gateway_cost_usd_total") == {
        "cached_input": 1,
        "output": 2,
        "tool": 3,
    }


@settings(max_examples=30)
@given(price_rows(), st.lists(usages(), max_size=3))
def test_metrics_add_up_to_what_was_settled(row: PriceRow, told: list[Usage]) -> None:
    metrics = Metrics(slot=0)
    total = tokens = 0
    for usage in told:
        cost = cost_of(row, usage)
        metrics.settled(settled_call(usage=usage, by_kind=cost.by_kind()))
        total += cost.total
        tokens += usage.input_tokens + usage.output_tokens
    costs = by_type(metrics, "ai_gateway_cost_usd_total")
    counts = by_type(metrics, "ai_gateway_tokens_total")
    assert sum(costs.values()) == pytest.approx(total / 10**9, rel=1e-12)
    assert sum(counts.values()) == tokens
    assert set(counts) <= TYPES
    assert set(costs) <= TYPES | {"tool"}


@given(st.text(max_size=40), st.text(max_size=40))
def test_string_of_a_client_never_becomes_a_label(name: str, served: str) -> None:
    metrics = Metrics(slot=0)
    unpriced = settled_call(name, f"openai/{name}", served, price_row="")
    metrics.settled(unpriced)
    metrics.settled(settled_call(model_requested=name, served_model=served))
    for counter in ("requests_total", "tokens_total", "cost_usd_total"):
        models = {labels["model"] for labels, _ in samples(metrics, f"ai_gateway_{counter}")}
        assert models == {OTHER_MODEL, "gpt-4o-mini"}


def test_model_of_the_price_book_is_its_own_label() -> None:
    assert model_label(CALL) == "gpt-4o-mini"


# State


def test_parts_that_answer_are_up(metrics: Metrics) -> None:
    state = State(figures=None, dependencies={"redis": True, "sql": False})
    assert list(samples(metrics, "ai_gateway_dependency_up", state)) == [
        ({"dependency": "redis"}, 1.0),
        ({"dependency": "sql"}, 0.0),
    ]


def test_figures_are_shown_in_base_units(metrics: Metrics) -> None:
    figures = {
        "spend_day_nano_usd": 1.5e9,
        "spend_month_nano_usd": 2e9,
        "lag_seconds": 0.25,
        "unknown": 7.0,
    }
    state = State(figures, {})
    assert list(samples(metrics, "ai_gateway_ledger_spend_usd", state)) == [
        ({"window": "day"}, 1.5),
        ({"window": "month"}, 2.0),
    ]
    assert list(samples(metrics, "ai_gateway_ledger_lag_seconds", state)) == [({}, 0.25)]


def test_figures_that_are_unknown_are_left_out(metrics: Metrics) -> None:
    assert not {name for name in families(metrics) if "ledger" in name}
    assert list(samples(metrics, "ai_gateway_ledger_spend_usd", State({}, {}))) == []


def test_what_is_running_is_told(metrics: Metrics) -> None:
    ((labels, value),) = samples(metrics, "ai_gateway_build_info")
    assert value == 1
    assert labels["server"].startswith("gunicorn ")
    assert set(labels) == {"version", "python", "server"}


def test_every_name_has_our_prefix_and_a_text(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    state = State({"lag_seconds": 1.0}, {"redis": True})
    for name, family in families(metrics, state).items():
        assert name.startswith("ai_gateway_")
        assert family.documentation.endswith(".")
