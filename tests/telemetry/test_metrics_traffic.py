"""Requests are counted once, by their outcome and by what the provider did."""

from dataclasses import replace

import pytest

from ai_gateway.domain.call import Operation, Outcome, StreamSide, UpstreamResult
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.observer import LocalCall, SettledCall
from tests.telemetry.facts import settled_call
from tests.telemetry.scrapes import happened, samples

PAIR = ("gpt-4o-mini", "openai")
"""Model and provider: the names of labels are sorted."""


def timed(
    fact: SettledCall,
    latency_ms: int,
    *,
    overhead_us: int | None = None,
    ttft_ms: int | None = None,
) -> SettledCall:
    finished = replace(
        fact.finished, latency_ms=latency_ms, overhead_us=overhead_us, ttft_ms=ttft_ms
    )
    return replace(fact, finished=finished)


def test_settled_call_counts_once_in_its_outcome(metrics: Metrics) -> None:
    metrics.settled(settled_call())
    metrics.settled(settled_call(outcome=Outcome.CANCELLED, stream=True))
    model, provider = PAIR
    assert happened(metrics, "ai_gateway_requests_total") == {
        (model, "chat", "success", provider, "false"): 1,
        (model, "chat", "cancelled", provider, "true"): 1,
    }


def test_local_answer_counts_without_provider_and_model(metrics: Metrics) -> None:
    metrics.answered_locally(
        LocalCall("req_1", Operation.MESSAGES, Outcome.AUTH_ERROR, "invalid", stream=True)
    )
    assert happened(metrics, "ai_gateway_requests_total") == {
        ("", "messages", "auth_error", "", "true"): 1
    }
    assert happened(metrics, "ai_gateway_auth_failures_total") == {("invalid",): 1}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("CallStillRunning", "running"),
        ("CallAlreadyMade", "done"),
        ("IdempotencyKeyReused", "mismatch"),
    ],
)
def test_calls_whose_idempotency_key_is_taken_are_counted_by_why(
    metrics: Metrics, error: str, reason: str
) -> None:
    name = "ai_gateway_idempotency_conflicts_total"
    assert samples(metrics, name) == {("running",): 0, ("done",): 0, ("mismatch",): 0}
    metrics.answered_locally(LocalCall("req_1", Operation.CHAT, Outcome.CLIENT_ERROR, error))
    assert happened(metrics, name) == {(reason,): 1}


def test_every_way_in_which_a_call_may_end_starts_at_zero(metrics: Metrics) -> None:
    """A series first seen above zero is lost on `increase`."""
    before = samples(metrics, "ai_gateway_requests_total")
    for refusal in ("client_error", "auth_error", "budget_blocked", "gateway_error"):
        assert before["", "responses", refusal, "", "true"] == 0
    assert before["", "models", "success", "", "false"] == 0
    assert samples(metrics, "ai_gateway_auth_failures_total")["revoked",] == 0
    metrics.settled(settled_call())
    model, provider = PAIR
    after = samples(metrics, "ai_gateway_requests_total")
    assert after[model, "chat", "upstream_timeout", provider, "false"] == 0
    results = samples(metrics, "ai_gateway_upstream_requests_total")
    assert {result for *_, result in results} == set(UpstreamResult)


def test_time_is_split_between_gateway_and_provider(metrics: Metrics) -> None:
    metrics.settled(timed(settled_call(), 1_500, overhead_us=250_000))
    name = "request_duration_seconds"
    assert samples(metrics, f"ai_gateway_{name}_sum") == {("gpt-4o-mini", "chat", "openai"): 1.5}
    assert samples(metrics, f"ai_gateway_upstream_{name}_sum") == {PAIR: 1.25}
    assert happened(metrics, "ai_gateway_overhead_seconds_sum") == {("chat",): 0.25}


def test_what_was_never_sent_has_no_time_at_the_provider(metrics: Metrics) -> None:
    metrics.settled(timed(settled_call(), 3, overhead_us=None))
    assert samples(metrics, "ai_gateway_upstream_request_duration_seconds_count") == {}
    assert happened(metrics, "ai_gateway_overhead_seconds_count") == {}


def test_stream_tells_its_first_token_and_the_mean_between_tokens(metrics: Metrics) -> None:
    # Fifty output tokens have 49 times between them.
    metrics.settled(timed(settled_call(stream=True), 5_400, ttft_ms=500))
    assert samples(metrics, "ai_gateway_time_to_first_token_seconds_sum") == {PAIR: 0.5}
    mean = samples(metrics, "ai_gateway_time_per_output_token_seconds_sum")
    assert mean == {PAIR: pytest.approx(4.9 / 49)}


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(timed(settled_call(), 100, ttft_ms=50), id="no stream"),
        pytest.param(timed(settled_call(stream=True), 100), id="no token"),
        pytest.param(
            timed(settled_call(stream=True, outcome=Outcome.CANCELLED), 100, ttft_ms=50),
            id="left early",
        ),
    ],
)
def test_time_between_tokens_is_of_whole_streams_alone(metrics: Metrics, fact: SettledCall) -> None:
    metrics.settled(fact)
    assert samples(metrics, "ai_gateway_time_per_output_token_seconds_sum") == {}


def test_stream_that_ended_early_counts_for_the_side_that_ended_it(metrics: Metrics) -> None:
    metrics.settled(settled_call(stream=True))
    metrics.settled(replace(settled_call(stream=True), aborted_by=StreamSide.UPSTREAM))
    assert samples(metrics, "ai_gateway_stream_aborts_total") == {
        ("openai", "client"): 0,
        ("openai", "gateway"): 0,
        ("openai", "upstream"): 1,
    }


def test_what_the_provider_did_is_counted_apart_from_the_request(metrics: Metrics) -> None:
    cancelled = settled_call(outcome=Outcome.CANCELLED, stream=True)
    metrics.settled(cancelled)
    metrics.settled(replace(settled_call(), upstream=UpstreamResult.OVERLOADED))
    assert happened(metrics, "ai_gateway_upstream_requests_total") == {
        (*PAIR, "ok"): 1,
        (*PAIR, "overloaded"): 1,
    }
