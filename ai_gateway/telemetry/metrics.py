"""What Prometheus scrapes: additive facts as counters of the workers, state as gauges.

With several workers each writes files named by its slot, which are merged at the scrape; the
bookkeeper's figures and the health of parts are put beside them then. Labels come from closed sets.
"""

from prometheus_client import CollectorRegistry

from ai_gateway.telemetry import metrics_spend, metrics_traffic
from ai_gateway.telemetry.metrics_dependencies import DependencyMetrics
from ai_gateway.telemetry.metrics_export import ExportMetrics
from ai_gateway.telemetry.metrics_labels import ModelLabels
from ai_gateway.telemetry.metrics_scrape import (
    Exposition,
    MergedFiles,
    OwnCounters,
    exposition,
    shared_folder,
)
from ai_gateway.telemetry.metrics_spend import SpendMetrics
from ai_gateway.telemetry.metrics_state import (
    InstanceFacts,
    State,
    StateCollector,
    pairs_of_late,
)
from ai_gateway.telemetry.metrics_traffic import TrafficMetrics
from ai_gateway.telemetry.metrics_workers import WorkerMetrics
from ai_gateway.telemetry.observer import LocalCall, SettledCall

NOTHING_KNOWN = InstanceFacts()


class Metrics:
    """The counters of this process, and the text of a scrape.

    `slot` is None in a process that is no worker; `capacity` is how many requests one serves.
    """

    def __init__(
        self,
        slot: int | None = None,
        *,
        capacity: int = 0,
        instance: InstanceFacts = NOTHING_KNOWN,
    ) -> None:
        self._folder = shared_folder(slot)
        self._instance = instance
        self._registry = registry = CollectorRegistry()
        families = (*metrics_traffic.PAIR_FAMILIES, *metrics_spend.PAIR_FAMILIES)
        self._labels = ModelLabels(registry, families)
        self._traffic = TrafficMetrics(registry)
        self._spend = SpendMetrics(registry)
        self.dependencies = DependencyMetrics(registry)
        self.workers = WorkerMetrics(registry, capacity=capacity)
        self.export = ExportMetrics(registry)

    def answered_locally(self, fact: LocalCall) -> None:
        self._traffic.answered_locally(fact)
        self._spend.answered_locally(fact)

    def settled(self, fact: SettledCall) -> None:
        pair = self._labels.of(fact.call)
        self._traffic.settled(fact, pair)
        self._spend.settled(fact, pair)

    def scrape(self, state: State, accept: str = "") -> Exposition:
        """What Prometheus reads, in the format that the header `Accept` asks for."""
        for provider, model in pairs_of_late(state.figures or {}):
            self._begin(self._labels.of_pair(provider, model))
        counters = MergedFiles(self._folder) if self._folder else OwnCounters(self._registry)
        return exposition((counters, StateCollector(state, self._instance)), accept)

    def _begin(self, pair: tuple[str, str]) -> None:
        """A counter that Prometheus first sees at 5 has no increase: it has to be seen at 0."""
        self._traffic.begin(pair)
        self._spend.begin(pair)
