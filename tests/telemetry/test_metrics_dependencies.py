"""Questions to the stores: how often, how long, what went wrong, and what became of holds."""

import pytest

from ai_gateway.telemetry.metrics import Metrics
from tests.telemetry.scrapes import happened, samples


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("OK", "ok"),
        ("DENY", "deny"),
        ("DUP", "dup"),
        ("STALE", "stale"),
        ("COLD", "cold"),
        ("REPEAT", "repeat"),
        ("timeout", "error"),
    ],
)
def test_reserves_are_counted_by_result(metrics: Metrics, answer: str, result: str) -> None:
    metrics.dependencies.redis("reserve", answer, 0.001)
    assert happened(metrics, "ai_gateway_reserve_total") == {(result,): 1}
    assert len(samples(metrics, "ai_gateway_reserve_total")) == 7


@pytest.mark.parametrize(
    ("question", "answer", "closed"),
    [
        ("settle", "OK", {("settled",): 1}),
        ("settle", "DUP", {}),
        ("settle", "UNKNOWN", {}),
        ("settle", "connection", {}),
        ("withdraw", "OK", {("released",): 1}),
        ("withdraw", "BOOKED", {}),
        ("rehold", "OK", {("rehold",): 1}),
        ("rehold", "DENY", {}),
        ("reserve", "OK", {}),
    ],
)
def test_holds_count_when_they_are_closed(
    metrics: Metrics, question: str, answer: str, closed: dict[tuple[str], int]
) -> None:
    metrics.dependencies.redis(question, answer, 0.001)
    assert happened(metrics, "ai_gateway_reservations_closed_total") == closed


def test_questions_are_timed(metrics: Metrics) -> None:
    metrics.dependencies.redis("reserve", "OK", 0.25)
    metrics.dependencies.redis("settle", "timeout", 0.5)
    metrics.dependencies.sql("ok", 2.0)
    assert samples(metrics, "ai_gateway_dependency_duration_seconds_sum") == {
        ("redis",): 0.75,
        ("sql",): 2.0,
    }
    assert samples(metrics, "ai_gateway_phase_seconds_sum") == {
        ("reserve",): 0.25,
        ("settle",): 0.5,
    }
    assert samples(metrics, "ai_gateway_dependency_requests_total") == {
        ("redis", "ok"): 1,
        ("redis", "error"): 1,
        ("sql", "ok"): 1,
        ("sql", "error"): 0,
    }


@pytest.mark.parametrize(
    ("answer", "kind"), [("COLD", "cold"), ("oom", "oom"), ("connection", "connection")]
)
def test_errors_of_redis_are_counted_by_kind(metrics: Metrics, answer: str, kind: str) -> None:
    metrics.dependencies.redis("reserve", answer, 0.1)
    assert happened(metrics, "ai_gateway_redis_errors_total") == {(kind,): 1}


def test_kind_that_nobody_foresaw_makes_no_series(metrics: Metrics) -> None:
    metrics.dependencies.redis("reserve", "a text of the server", 0.1)
    assert happened(metrics, "ai_gateway_redis_errors_total") == {("other",): 1}


def test_worker_says_what_it_does_without(metrics: Metrics) -> None:
    def degraded() -> set[str]:
        return {mode for (mode,) in happened(metrics, "ai_gateway_degraded")}

    assert degraded() == set()
    metrics.dependencies.redis("reserve", "connection", 0.1)
    metrics.dependencies.sql("error", 0.1)
    assert degraded() == {"redis_down", "sql_down"}
    metrics.dependencies.redis("settle", "OK", 0.1)
    metrics.dependencies.draining()
    assert degraded() == {"sql_down", "draining"}
