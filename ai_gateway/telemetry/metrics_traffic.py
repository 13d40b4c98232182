"""Metrics of requests: how many, how they ended, how long they took, and what the provider did."""

from itertools import product

from prometheus_client import CollectorRegistry

from ai_gateway.domain.call import (
    FinishedCall,
    Operation,
    Outcome,
    StreamSide,
    UpstreamResult,
)
from ai_gateway.errors import CallAlreadyMade, CallStillRunning, IdempotencyKeyReused
from ai_gateway.telemetry.metrics_kinds import Counter, Histogram
from ai_gateway.telemetry.metrics_labels import NO_MODEL, Kept
from ai_gateway.telemetry.observer import LocalCall, SettledCall

# Of OpenTelemetry's conventions for GenAI, and longer at the end for models that reason.
DURATION_BUCKETS = tuple(round(0.01 * 2**power, 2) for power in range(17))
FIRST_TOKEN_BUCKETS = (
    *(0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
    *(20.0, 40.0, 60.0),
)
PER_TOKEN_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
OVERHEAD_BUCKETS = tuple(round(0.0005 * 2**power, 4) for power in range(12))

FREE = (Operation.MODELS, Operation.COUNT_TOKENS, Operation.STORED_RESPONSES)
METERED = tuple(operation for operation in Operation if operation not in FREE)

REFUSED = (
    Outcome.CLIENT_ERROR,
    Outcome.AUTH_ERROR,
    Outcome.BUDGET_BLOCKED,
    Outcome.GATEWAY_ERROR,
)
ADMITTED = (
    Outcome.SUCCESS,
    Outcome.UPSTREAM_REJECTED,
    Outcome.UPSTREAM_ERROR,
    Outcome.UPSTREAM_TIMEOUT,
    Outcome.GATEWAY_ERROR,
    Outcome.CANCELLED,
)
REPEATS = {
    CallStillRunning.__name__: "running",
    CallAlreadyMade.__name__: "done",
    IdempotencyKeyReused.__name__: "mismatch",
}
AUTH_FAILURES = ("missing", "in_address", "invalid", "expired", "revoked", "forbidden", "paused")
_WORDS = {True: "true", False: "false"}

PAIR_FAMILIES = (
    "ai_gateway_requests_total",
    "ai_gateway_request_duration_seconds",
    "ai_gateway_time_to_first_token_seconds",
    "ai_gateway_time_per_output_token_seconds",
    "ai_gateway_upstream_requests_total",
    "ai_gateway_upstream_request_duration_seconds",
)
"""They have a provider and a model."""


class TrafficMetrics:
    """One request counts once, in exactly one outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_pair = ["provider", "model"]
        by_operation = ["operation", *by_pair]
        requests = Counter(
            "ai_gateway_requests_total",
            "Requests of clients; each ends in exactly one outcome.",
            [*by_operation, "stream", "outcome"],
            registry=registry,
        )
        duration = Histogram(
            "ai_gateway_request_duration_seconds",
            "From the first byte of a request to the last byte of its answer.",
            by_operation,
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        overhead = Histogram(
            "ai_gateway_overhead_seconds",
            "Duration of a request without the waiting for the provider.",
            ["operation"],
            buckets=OVERHEAD_BUCKETS,
            registry=registry,
        )
        upstream_duration = Histogram(
            "ai_gateway_upstream_request_duration_seconds",
            "Duration of requests to providers, to the last byte.",
            by_pair,
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        upstream = Counter(
            "ai_gateway_upstream_requests_total",
            "Requests to providers by what became of them.",
            [*by_pair, "result"],
            registry=registry,
        )
        self._requests = Kept(requests, _without_provider())
        self._duration = Kept(duration)
        self._overhead = Kept(overhead, ((operation,) for operation in METERED))
        self._upstream_duration = Kept(upstream_duration)
        self._upstream = Kept(upstream)
        self._refusals = _RefusalMetrics(registry)
        self._streams = _StreamMetrics(registry)

    def answered_locally(self, fact: LocalCall) -> None:
        stream = _WORDS[fact.stream]
        self._requests[fact.operation, NO_MODEL, NO_MODEL, stream, fact.outcome].inc()
        self._refusals.answered_locally(fact)

    def settled(self, fact: SettledCall, pair: tuple[str, str]) -> None:
        """`pair` are the labels of its provider and model."""
        call, finished = fact.call, fact.finished
        operation, stream = call.operation, _WORDS[call.stream]
        self._meet(operation, pair, stream)
        seconds = finished.latency_ms / 1000
        self._requests[(operation, *pair, stream, finished.outcome)].inc()
        self._duration[(operation, *pair)].observe(seconds)
        self._upstream[(*pair, fact.upstream)].inc()
        if finished.overhead_us is not None:
            overhead = finished.overhead_us / 1_000_000
            self._overhead[(operation,)].observe(overhead)
            self._upstream_duration[pair].observe(max(0.0, seconds - overhead))
        if call.stream:
            self._streams.settled(fact, pair, seconds)

    def begin(self, pair: tuple[str, str]) -> None:
        """Let what providers do with a model be counted from zero; how it is asked is not known."""
        for result in UpstreamResult:
            self._upstream.begin(*pair, result)

    def _meet(self, operation: Operation, pair: tuple[str, str], stream: str) -> None:
        """At the first call of its kind, let every way in which one may end start at zero."""
        if (operation, *pair, stream, Outcome.SUCCESS) in self._requests:
            return
        for outcome in ADMITTED:
            self._requests.begin(operation, *pair, stream, outcome)
        self.begin(pair)


class _RefusalMetrics:
    """Why requests were refused, where their outcome alone does not tell it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        auth_failures = Counter(
            "ai_gateway_auth_failures_total",
            "Requests refused for their virtual key, or while their calls are paused.",
            ["reason"],
            registry=registry,
        )
        repeats = Counter(
            "ai_gateway_idempotency_conflicts_total",
            "Calls that were not sent since their idempotency key was taken.",
            ["reason"],
            registry=registry,
        )
        self._auth_failures = Kept(auth_failures, ((reason,) for reason in AUTH_FAILURES))
        self._repeats = Kept(repeats, ((reason,) for reason in REPEATS.values()))

    def answered_locally(self, fact: LocalCall) -> None:
        if fact.outcome is Outcome.AUTH_ERROR and fact.reason in AUTH_FAILURES:
            self._auth_failures[(fact.reason,)].inc()
        elif fact.reason in REPEATS:
            self._repeats[(REPEATS[fact.reason],)].inc()


class _StreamMetrics:
    """What only streams have."""

    def __init__(self, registry: CollectorRegistry) -> None:
        first_token = Histogram(
            "ai_gateway_time_to_first_token_seconds",
            "From the accepted request to its first content chunk; streams only.",
            ["provider", "model"],
            buckets=FIRST_TOKEN_BUCKETS,
            registry=registry,
        )
        per_token = Histogram(
            "ai_gateway_time_per_output_token_seconds",
            "Mean time between output tokens of a request; streams only.",
            ["provider", "model"],
            buckets=PER_TOKEN_BUCKETS,
            registry=registry,
        )
        aborts = Counter(
            "ai_gateway_stream_aborts_total",
            "Streams that ended early, by the side that ended them.",
            ["provider", "side"],
            registry=registry,
        )
        self._first_token = Kept(first_token)
        self._per_token = Kept(per_token)
        self._aborts = Kept(aborts)

    def settled(self, fact: SettledCall, pair: tuple[str, str], seconds: float) -> None:
        provider = pair[0]
        if (provider, StreamSide.CLIENT) not in self._aborts:
            for side in StreamSide:
                self._aborts.begin(provider, side)
        if fact.aborted_by is not None:
            self._aborts[provider, fact.aborted_by].inc()
        if fact.finished.ttft_ms is not None:
            first = fact.finished.ttft_ms / 1000
            self._first_token[pair].observe(first)
            if (per_token := _per_token(fact.finished, seconds - first)) is not None:
                self._per_token[pair].observe(per_token)


def _per_token(finished: FinishedCall, seconds: float) -> float | None:
    """The mean of a request that went well; one token has no time between."""
    tokens = finished.usage.output_tokens
    if finished.outcome is not Outcome.SUCCESS or tokens < 2:
        return None
    return max(0.0, seconds) / (tokens - 1)


def _without_provider() -> list[tuple[str, ...]]:
    """How requests may end that no provider is counted for."""
    refused = product(METERED, [NO_MODEL], [NO_MODEL], _WORDS.values(), REFUSED)
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.CANCELLED]
    free = product(FREE, [NO_MODEL], [NO_MODEL], ["false"], outcomes)
    return [*refused, *free]
