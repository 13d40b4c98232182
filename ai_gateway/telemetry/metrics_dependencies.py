"""Metrics of the stores that calls depend on: questions, their time, errors, and holds."""

from itertools import product

from prometheus_client import CollectorRegistry, Gauge

from ai_gateway.telemetry.metrics_kinds import Counter, Histogram, Summary

DEPENDENCY_BUCKETS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
RESERVE_WORDS = ("OK", "DENY", "DUP", "STALE", "COLD", "REPEAT")
RESERVE_RESULTS = {word: word.lower() for word in RESERVE_WORDS}
RESERVE_ERROR = "error"
CLOSED = {("settle", "OK"): "settled", ("withdraw", "OK"): "released", ("rehold", "OK"): "rehold"}
COLD = "COLD"
REDIS_ERRORS = (
    *("timeout", "connection", "loading", "oom", "misconf", "noscript", "readonly", "cluster"),
    *("noreplicas", "cold", "other"),
)
PHASES = ("reserve", "settle")
MODES = ("redis_down", "sql_down", "draining")


class DependencyMetrics:
    """Is told of each question to a store, after it was answered or not."""

    def __init__(self, registry: CollectorRegistry) -> None:
        requests = Counter(
            "ai_gateway_dependency_requests_total",
            "Requests to what the gateway depends on.",
            ["dependency", "result"],
            registry=registry,
        )
        duration = Histogram(
            "ai_gateway_dependency_duration_seconds",
            "Duration of requests to what the gateway depends on.",
            ["dependency"],
            buckets=DEPENDENCY_BUCKETS,
            registry=registry,
        )
        self._requests = {
            (name, is_ok): requests.labels(name, "ok" if is_ok else "error")
            for name, is_ok in product(("redis", "sql"), (True, False))
        }
        self._duration = {name: duration.labels(name) for name in ("redis", "sql")}
        self._holds = _HoldMetrics(registry)
        self._phases = _phases(registry)
        self._redis_errors = _redis_errors(registry)
        self._degraded = _Degraded(registry)

    def redis(self, question: str, answer: str, seconds: float) -> None:
        """`answer` is the word of a script, in capitals, or the kind of an error."""
        is_ok = answer.isupper()
        self._told("redis", seconds, is_ok=is_ok)
        if answer == COLD:
            self._redis_errors["cold"].inc()
        elif not is_ok:
            self._redis_errors[answer if answer in REDIS_ERRORS else "other"].inc()
        self._holds.told(question, answer)
        phase = self._phases.get(question)
        if phase is not None:
            phase.observe(seconds)

    def sql(self, result: str, seconds: float) -> None:
        self._told("sql", seconds, is_ok=result == "ok")

    def draining(self) -> None:
        """The worker takes no new calls any more."""
        self._degraded.set("draining", is_so=True)

    def _told(self, name: str, seconds: float, *, is_ok: bool) -> None:
        self._requests[name, is_ok].inc()
        self._duration[name].observe(seconds)
        self._degraded.set(f"{name}_down", is_so=not is_ok)


class _HoldMetrics:
    """How holds begin and end."""

    def __init__(self, registry: CollectorRegistry) -> None:
        reserve = Counter(
            "ai_gateway_reserve_total",
            "Attempts to reserve the worst case of a call.",
            ["result"],
            registry=registry,
        )
        closed = Counter(
            "ai_gateway_reservations_closed_total",
            "Holds that were closed, by how.",
            ["result"],
            registry=registry,
        )
        results = (*RESERVE_RESULTS.values(), RESERVE_ERROR)
        self._reserve = {result: reserve.labels(result) for result in results}
        self._closed = {result: closed.labels(result) for result in CLOSED.values()}

    def told(self, question: str, answer: str) -> None:
        if question == "reserve":
            self._reserve[RESERVE_RESULTS.get(answer, RESERVE_ERROR)].inc()
        elif (question, answer) in CLOSED:
            self._closed[CLOSED[question, answer]].inc()


class _Degraded:
    """What this worker does without; written only when it changes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        degraded = Gauge(
            "ai_gateway_degraded",
            "Whether the gateway does without something, by what.",
            ["mode"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._gauges = {mode: degraded.labels(mode) for mode in MODES}
        self._is_so = dict.fromkeys(MODES, False)
        for gauge in self._gauges.values():
            gauge.set(0)

    def set(self, mode: str, *, is_so: bool) -> None:
        if self._is_so[mode] is not is_so:
            self._is_so[mode] = is_so
            self._gauges[mode].set(is_so)


def _phases(registry: CollectorRegistry) -> dict[str, Summary]:
    family = Summary(
        "ai_gateway_phase_seconds",
        "Time that the gateway spends in each part of its own work.",
        ["phase"],
        registry=registry,
    )
    return {phase: family.labels(phase) for phase in PHASES}


def _redis_errors(registry: CollectorRegistry) -> dict[str, Counter]:
    family = Counter(
        "ai_gateway_redis_errors_total",
        "Errors of Redis by the repair that they need.",
        ["kind"],
        registry=registry,
    )
    return {kind: family.labels(kind) for kind in REDIS_ERRORS}
