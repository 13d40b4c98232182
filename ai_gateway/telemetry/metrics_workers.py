"""Metrics of the workers themselves; the gauges are of the live ones alone."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from ai_gateway.domain.call import Operation
from ai_gateway.telemetry.metrics_traffic import METERED


class WorkerMetrics:
    """One worker, which starts now and takes `capacity` requests at once."""

    def __init__(self, registry: CollectorRegistry, *, capacity: int) -> None:
        in_flight = Gauge(
            "ai_gateway_requests_in_flight",
            "Requests that are being served now.",
            ["operation"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        capacities = Gauge(
            "ai_gateway_worker_capacity",
            "Requests that the live workers can serve at once.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        workers = Gauge(
            "ai_gateway_workers", "Live workers.", registry=registry, multiprocess_mode="livesum"
        )
        starts = Counter("ai_gateway_worker_starts_total", "Starts of workers.", registry=registry)
        self._refusals_lost = Counter(
            "ai_gateway_refusals_lost_total",
            "Refusals that staff cannot see, since they could not be written in time.",
            registry=registry,
        )
        self._reload_success = Gauge(
            "ai_gateway_config_reload_success",
            "Whether the configuration was read without a fault the last time.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        self._reload_success.set(1)
        self._in_flight = {operation: in_flight.labels(operation) for operation in METERED}
        self._running = dict.fromkeys(METERED, 0)
        for gauge in self._in_flight.values():
            gauge.set(0)
        capacities.set(capacity)
        workers.set(1)
        starts.inc()

    def running(self, calls: Mapping[Operation, int]) -> None:
        """How many calls run now, looked at once a second and not at each of them."""
        for operation, before in self._running.items():
            now = calls.get(operation, 0)
            if now != before:
                self._running[operation] = now
                self._in_flight[operation].set(now)

    def config_reloaded(self, success: int) -> None:
        """1 where this worker read what was published last, 0 where it could not."""
        self._reload_success.set(success)

    def refusals_lost(self, number: int) -> None:
        self._refusals_lost.inc(number)
