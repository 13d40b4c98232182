"""Metrics of what goes to LangSmith: everything offered ends in exactly one of the others."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge

SINK = "langsmith"


class Loss(StrEnum):
    """Why something that was offered never arrived."""

    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    REJECTED = "rejected"
    AUTH = "auth"
    GAVE_UP = "gave_up"
    EXIT = "exit"


class ExportMetrics:
    """The counters of one worker; offered = sent + sampled out + dropped + what still waits."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str) -> Counter:
            family = Counter(f"ai_gateway_export_{name}_total", text, ["sink"], registry=registry)
            return family.labels(SINK)

        def gauge(name: str, text: str) -> Gauge:
            family = Gauge(
                f"ai_gateway_export_queue_{name}",
                text,
                ["sink"],
                registry=registry,
                multiprocess_mode="livesum",
            )
            return family.labels(SINK)

        self.offered = counter("offered", "Finished calls that could be exported.")
        self.sampled_out = counter("sampled_out", "Calls that the chosen sample left out.")
        self.sent = counter("sent", "Calls that the sink took.")
        self.queue_length = gauge("length", "Calls that wait to be exported.")
        self.queue_capacity = gauge("capacity", "Calls that may wait to be exported.")
        dropped = Counter(
            "ai_gateway_export_dropped_total",
            "Calls that never arrived at the sink, by why.",
            ["sink", "reason"],
            registry=registry,
        )
        self.dropped = {loss: dropped.labels(SINK, loss) for loss in Loss}
