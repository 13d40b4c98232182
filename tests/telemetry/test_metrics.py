"""What Prometheus scrapes: labels from closed sets, formats, and workers that come and go."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import values as prometheus_values

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_labels import MOST_PAIRS, OTHER_MODEL, model_label
from ai_gateway.telemetry.metrics_state import FIGURES, SEPARATOR, InstanceFacts, State
from ai_gateway.telemetry.observer import LocalCall
from tests.telemetry.facts import CALL, settled_call
from tests.telemetry.scrapes import NOTHING, happened, samples, samples_of, series

EVERY_FIGURE = {SEPARATOR.join((family.name, *family.labels)): 1.0 for family in FIGURES}
WORKERS, RESTARTS = 2, 50
SERIES_OF_A_PAIR = 130
SERIES_OF_NO_PAIR = 1_000


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That of the workers' files."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    yield tmp_path
    prometheus_values.ValueClass = prometheus_values.MutexValue


# Labels


@settings(max_examples=25)
@given(st.text(max_size=40), st.text(max_size=40))
def test_string_of_a_client_never_becomes_a_label(name: str, served: str) -> None:
    metrics = Metrics()
    unpriced = settled_call(name, f"openai/{name}", served, price_row="")
    metrics.settled(unpriced)
    metrics.settled(settled_call(model_requested=name, served_model=served))
    for counter in ("requests_total", "tokens_total", "cost_usd_total"):
        models = {labels[0] for labels in happened(metrics, f"ai_gateway_{counter}")}
        assert models == {OTHER_MODEL, "gpt-4o-mini"}


def test_model_of_the_price_book_is_its_own_label() -> None:
    assert model_label(CALL) == "gpt-4o-mini"


def test_model_of_late_counts_from_zero_before_its_first_call(metrics: Metrics) -> None:
    of_late = State(figures={"pair|openai|gpt-4o-mini": 3.0}, dependencies={})
    cost = samples(metrics, "ai_gateway_cost_usd_total", of_late)
    assert cost["gpt-4o-mini", "openai", "output"] == 0.0
    results = samples(metrics, "ai_gateway_upstream_requests_total", of_late)
    assert results["gpt-4o-mini", "openai", "ok"] == 0.0
    metrics.settled(settled_call())
    assert samples(metrics, "ai_gateway_cost_usd_total", of_late)[
        "gpt-4o-mini", "openai", "output"
    ] == pytest.approx(0.0000005)
    assert "ai_gateway_pair" not in metrics.scrape(of_late).text.decode()


def test_models_beyond_the_first_are_counted_under_other(metrics: Metrics) -> None:
    for number in range(MOST_PAIRS + 40):
        metrics.settled(settled_call(f"model-{number}"))
    last = f"model-{MOST_PAIRS + 39}"
    metrics.settled(settled_call(last))
    models = {labels[0]: n for labels, n in happened(metrics, "ai_gateway_requests_total").items()}
    assert len(models) == MOST_PAIRS + 1
    assert models[OTHER_MODEL] == 41
    assert last not in models
    overflow = samples(metrics, "ai_gateway_metrics_label_overflow_total")
    assert set(overflow.values()) == {40}
    assert ("ai_gateway_cost_usd_total",) in overflow


def test_flood_of_models_does_not_move_the_number_of_series(metrics: Metrics) -> None:
    for number in range(MOST_PAIRS + 1):
        metrics.settled(settled_call(f"model-{number}"))
    before = series(metrics.scrape(NOTHING).text.decode())
    for number in range(500):
        metrics.settled(settled_call(f"novelty-{number}"))
        metrics.settled(settled_call(f"unpriced-{number}", price_row=""))
        metrics.answered_locally(
            LocalCall(f"req_{number}", Operation.CHAT, Outcome.CLIENT_ERROR, f"reason-{number}")
        )
    assert series(metrics.scrape(NOTHING).text.decode()) == before


def test_series_stay_within_their_budget(folder: Path) -> None:
    metrics = Metrics(0)
    state = State(EVERY_FIGURE, {"redis": True, "sql": True})
    metrics.settled(settled_call("first", stream=True))
    first = series(metrics.scrape(state).text.decode())
    metrics.settled(settled_call("second", stream=True))
    second = series(metrics.scrape(state).text.decode())
    assert len(second) - len(first) <= SERIES_OF_A_PAIR
    assert len(first) - SERIES_OF_A_PAIR <= SERIES_OF_NO_PAIR


# Formats


@pytest.mark.prometheus
def test_whole_scrape_passes_promtools_lint(folder: Path) -> None:
    metrics = Metrics(0, capacity=5, instance=InstanceFacts("abc", 1))
    metrics.settled(settled_call(stream=True))
    text = metrics.scrape(State(EVERY_FIGURE, {"redis": True})).text
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


def test_scrape_is_in_the_format_that_is_asked_for(metrics: Metrics) -> None:
    plain = metrics.scrape(NOTHING)
    open_metrics = metrics.scrape(NOTHING, "application/openmetrics-text; version=1.0.0")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    assert open_metrics.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert open_metrics.text.endswith(b"# EOF\n")


# Workers


def test_workers_are_added_up(folder: Path) -> None:
    for slot in range(WORKERS):
        metrics = Metrics(slot, capacity=7)
        metrics.settled(settled_call())
        metrics.workers.running({Operation.CHAT: 3})
    assert samples(metrics, "ai_gateway_workers") == {(): WORKERS}
    assert samples(metrics, "ai_gateway_worker_capacity") == {(): 7 * WORKERS}
    assert samples(metrics, "ai_gateway_requests_in_flight")["chat",] == 3 * WORKERS
    assert sum(samples(metrics, "ai_gateway_requests_total").values()) == WORKERS


def test_restarts_leave_neither_files_nor_series_and_no_counter_falls(folder: Path) -> None:
    seen, files, known = 0.0, set[str](), set[str]()
    for number in range(RESTARTS):
        slot = number % WORKERS
        metrics = Metrics(slot, capacity=1)
        metrics.settled(settled_call(stream=True))
        text = metrics.scrape(NOTHING).text.decode()
        total = sum(samples_of(text, "ai_gateway_requests_total").values())
        assert total == seen + 1
        assert samples_of(text, "ai_gateway_worker_starts_total") == {(): number + 1}
        seen = total
        if number == WORKERS - 1:
            files, known = {file.name for file in folder.iterdir()}, series(text)
        if number >= WORKERS:
            assert series(text) == known
            assert samples_of(text, "ai_gateway_workers") == {(): WORKERS}
        if number < RESTARTS - 1 and number >= WORKERS - 1:
            bury((number + 1) % WORKERS, folder)
    assert {file.name for file in folder.iterdir()} == files


def bury(slot: int, folder: Path) -> None:
    """What the server does when a worker has ended."""
    for file in folder.glob(f"gauge_live*_{slot}.db"):
        file.unlink()


def test_file_that_is_about_to_be_filled_does_not_break_the_scrape(folder: Path) -> None:
    metrics = Metrics(0)
    (folder / "counter_1.db").touch()
    assert samples(metrics, "ai_gateway_worker_starts_total") == {(): 1}


def test_process_that_is_no_worker_writes_no_files(folder: Path) -> None:
    Metrics().settled(settled_call())
    assert list(folder.iterdir()) == []


def test_gauge_follows_the_calls_that_run(metrics: Metrics) -> None:
    seen = []
    for calls in ({Operation.CHAT: 2, Operation.MESSAGES: 1}, {Operation.CHAT: 1}, {}):
        metrics.workers.running(calls)
        seen.append(happened(metrics, "ai_gateway_requests_in_flight"))
    assert seen == [{("chat",): 2, ("messages",): 1}, {("chat",): 1}, {}]
