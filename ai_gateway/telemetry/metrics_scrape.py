"""The text of a scrape: the files of all workers merged, or this process's own counters."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client import values as prometheus_values
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ai_gateway.telemetry.metrics_files import take_room
from ai_gateway.telemetry.metrics_values import SlotValues

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True)
class Exposition:
    """What Prometheus reads, and the name of its format."""

    text: bytes
    content_type: str


def shared_folder(slot: int | None) -> Path | None:
    """Let metrics made from now on be in the files of a slot; None where there is one process.

    Files by slot and not by process id, so that restarts leave none behind. Whoever has no slot
    is no worker, and must not write into the files of one. A worker without room for its files
    serves all the same, and scrapes tell of the others alone.
    """
    prometheus_values.ValueClass = prometheus_values.MutexValue
    name = os.environ.get(FOLDER_VARIABLE)
    if slot is None or name is None:
        return None
    folder = Path(name)
    if take_room(folder, slot):
        prometheus_values.ValueClass = SlotValues(folder, slot)
    return folder


def exposition(collectors: Iterable[Collector], accept: str) -> Exposition:
    """Write out what `collectors` have, in the format that the header `Accept` asks for."""
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return Exposition(encode(registry), content_type)


class MergedFiles(Collector):
    """The counters of all workers, by the library's own merger."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        # A file that a worker is about to fill is empty for a moment, and breaks the merger.
        files = [str(file) for file in self._folder.glob("*.db") if _size(file)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class OwnCounters(Collector):
    """The counters of this process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0  # the live gauges of a worker that has just ended
