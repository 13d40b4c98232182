"""What Prometheus scrapes: additive facts as counters of the workers, state as gauges.

With several workers each writes files named by its slot, which are merged at the scrape; the
bookkeeper's figures and the health of parts are put beside them then. Labels come from closed sets.
"""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client import values as prometheus_values
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ai_gateway import __version__
from ai_gateway.domain.call import AdmittedCall
from ai_gateway.domain.money import NANO_PER_USD
from ai_gateway.domain.pricing import SEARCH_KIND
from ai_gateway.telemetry.observer import LocalCall, SettledCall

NO_MODEL = ""
OTHER_MODEL = "other"
"""The label of every model that is not in the price book: a client's string never becomes one."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

FIGURE_SILENCE_SECONDS = 60
"""Figures of a bookkeeper that has been silent for so long are left out, never repeated."""

_FOLDED = {"cached_audio": "cached_input", "image_output": "output", SEARCH_KIND: "tool"}


@dataclass(frozen=True, slots=True)
class State:
    """What a scrape adds to the counters: `figures` is None where they are unknown or old."""

    figures: Mapping[str, float] | None
    dependencies: Mapping[str, bool]


class Metrics:
    """The counters of this process, and the text of a scrape."""

    def __init__(self, *, slot: int) -> None:
        self._is_multiprocess = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        if self._is_multiprocess:
            # Files by slot and not by process id, so that restarts leave none behind.
            by_slot = prometheus_values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
            prometheus_values.ValueClass = by_slot
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ai_gateway_requests_total",
            "Requests of clients; each ends in exactly one outcome.",
            ["operation", "provider", "model", "stream", "outcome"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "ai_gateway_tokens_total",
            "Tokens of settled calls; the types are disjoint.",
            ["provider", "model", "type"],
            registry=self._registry,
        )
        self._cost = Counter(
            "ai_gateway_cost_usd_total",
            "Cost of settled calls in USD; the types are disjoint.",
            ["provider", "model", "type"],
            registry=self._registry,
        )

    def answered_locally(self, fact: LocalCall) -> None:
        labels = (fact.operation, "", NO_MODEL, _flag(stream=fact.stream), fact.outcome)
        self._requests.labels(*labels).inc()

    def settled(self, fact: SettledCall) -> None:
        call, finished = fact.call, fact.finished
        model = model_label(call)
        self._requests.labels(
            call.operation, call.provider, model, _flag(stream=call.stream), finished.outcome
        ).inc()
        for kind, count in _folded(finished.usage.disjoint()).items():
            if count:
                self._tokens.labels(call.provider, model, kind).inc(count)
        for kind, amount in _folded(fact.cost_by_kind).items():
            if amount:
                self._cost.labels(call.provider, model, kind).inc(amount / NANO_PER_USD)

    def scrape(self, state: State) -> bytes:
        """The text that Prometheus reads."""
        registry = CollectorRegistry()
        if self._is_multiprocess:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library's gap
        else:
            registry = self._registry
        return generate_latest(registry) + generate_latest(_registry_of(_StateCollector(state)))


class _StateCollector(Collector):
    """Gauges that are made anew at each scrape, and so vanish by themselves."""

    def __init__(self, state: State) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        build = {
            "version": __version__,
            "python": platform.python_version(),
            "server": f"gunicorn {version('gunicorn')}",
        }
        yield InfoMetricFamily("ai_gateway_build", "What is running.", value=build)
        up = GaugeMetricFamily(
            "ai_gateway_dependency_up", "Whether a part answers.", labels=["dependency"]
        )
        for name, is_up in self._state.dependencies.items():
            up.add_metric([name], float(is_up))
        yield up
        figures = self._state.figures
        if figures is None:
            return
        spend = GaugeMetricFamily(
            "ai_gateway_ledger_spend_usd",
            "Cost in the ledger since the window began, in USD.",
            labels=["window"],
        )
        for window in ("day", "month"):
            if f"spend_{window}_nano_usd" in figures:
                spend.add_metric([window], figures[f"spend_{window}_nano_usd"] / NANO_PER_USD)
        yield spend
        yield GaugeMetricFamily(
            "ai_gateway_ledger_lag_seconds",
            "Age of the oldest settled call that is not in the ledger yet.",
            value=figures.get("lag_seconds", 0.0),
        )


def model_label(call: AdmittedCall) -> str:
    return call.model if call.price_row else OTHER_MODEL


def _registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _folded(counts: Mapping[str, int]) -> dict[str, int]:
    folded: dict[str, int] = {}
    for kind, count in counts.items():
        name = _FOLDED.get(kind, kind)
        folded[name] = folded.get(name, 0) + count
    return folded


def _flag(*, stream: bool) -> str:
    return "true" if stream else "false"
