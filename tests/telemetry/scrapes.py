"""What a scrape says, for tests."""

from prometheus_client.parser import text_string_to_metric_families

from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_state import State

NOTHING = State(figures=None, dependencies={})


def samples(metrics: Metrics, name: str, state: State = NOTHING) -> dict[tuple[str, ...], float]:
    """The samples of this name by the values of their labels, in the order of their names."""
    return samples_of(metrics.scrape(state).text.decode(), name)


def samples_of(text: str, name: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def happened(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Those that are not zero."""
    return {labels: value for labels, value in samples(metrics, name).items() if value}


def series(text: str) -> set[str]:
    """Every series of a scrape, without its value."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0] for line in lines}
