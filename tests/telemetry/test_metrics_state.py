"""What a scrape adds to the counters: figures in base units, and what the instance is."""

import pytest

from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_state import FIGURES, SEPARATOR, InstanceFacts, State
from tests.telemetry.scrapes import samples, series


def test_parts_that_answer_are_up(metrics: Metrics) -> None:
    state = State(figures=None, dependencies={"redis": True, "sql": False})
    assert samples(metrics, "ai_gateway_dependency_up", state) == {("redis",): 1, ("sql",): 0}


def test_figures_are_shown_in_base_units(metrics: Metrics) -> None:
    figures = {
        "ledger_spend_usd|day": 1.5e9,
        "ledger_spend_usd|month": 2e9,
        "ledger_lag_seconds": 0.25,
        "user_tokens|7|day": 12.0,
        "reservations_expired_total": 3.0,
    }
    state = State(figures, {})
    assert samples(metrics, "ai_gateway_ledger_spend_usd", state) == {("day",): 1.5, ("month",): 2}
    assert samples(metrics, "ai_gateway_ledger_lag_seconds", state) == {(): 0.25}
    assert samples(metrics, "ai_gateway_user_tokens", state) == {("7", "day"): 12}
    assert samples(metrics, "ai_gateway_reservations_expired_total", state) == {(): 3}


@pytest.mark.parametrize("name", ["novelty", "ledger_spend_usd", "ledger_lag_seconds|day", ""])
def test_figure_that_is_not_declared_is_left_out(metrics: Metrics, name: str) -> None:
    text = metrics.scrape(State({name: 1.0}, {})).text.decode()
    assert series(text) == series(metrics.scrape(State({}, {})).text.decode())


def test_figures_that_are_unknown_are_left_out(metrics: Metrics) -> None:
    figures = {family.name for family in FIGURES}
    text = metrics.scrape(State(None, {})).text.decode()
    shown = {name.partition("{")[0].removeprefix("ai_gateway_") for name in series(text)}
    assert shown.isdisjoint(figures)
    assert "start_time_seconds" not in shown


def test_what_is_running_is_told() -> None:
    metrics = Metrics(instance=InstanceFacts("4f6d2a9c81e3", 1_700_000_000))
    ((labels, value),) = samples(metrics, "ai_gateway_build_info").items()
    python, revision, server, version = labels
    assert (value, revision) == (1, "4f6d2a9c81e3")
    assert server.startswith("gunicorn ")
    assert python.startswith("3.")
    assert version
    assert samples(metrics, "ai_gateway_start_time_seconds") == {(): 1_700_000_000}


def test_declared_figures_are_named_once_and_told_in_a_sentence() -> None:
    assert len({family.name for family in FIGURES}) == len(FIGURES)
    for family in FIGURES:
        assert family.help.endswith(".")
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert SEPARATOR not in family.name


def test_how_far_the_clocks_are_apart_is_told_while_redis_answers() -> None:
    metrics = Metrics(slot=0)
    told = metrics.scrape(State(None, {}, -600.0)).text.decode()
    assert "\nai_gateway_clock_skew_seconds -600.0\n" in told
    assert "clock_skew" not in metrics.scrape(State(None, {})).text.decode()
