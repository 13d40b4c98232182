"""What became of the traces of a gateway's calls, as it says itself."""

import urllib.request
from collections import Counter
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

OFFERED, SENT = "ai_gateway_export_offered_total", "ai_gateway_export_sent_total"
DROPPED = "ai_gateway_export_dropped_total"


def traces(port: int) -> Mapping[str, int]:
    """Ask the gateway at the port for its metrics; no trace at all is none offered."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
        return counted(answer.read().decode("utf-8"))


def counted(metrics: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name in (OFFERED, SENT, DROPPED):
                found[sample.name] += int(sample.value)
    return {"offered": found[OFFERED], "sent": found[SENT], "dropped": found[DROPPED]}
