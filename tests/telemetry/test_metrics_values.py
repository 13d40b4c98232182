"""Values in the files of a slot: the library's figures, whatever ends or interrupts a worker."""

import math
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import ModuleType

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import values as prometheus_values
from prometheus_client.registry import Collector

from ai_gateway.telemetry import metrics_kinds
from ai_gateway.telemetry.metrics_kinds import Counter
from ai_gateway.telemetry.metrics_scrape import MergedFiles, OwnCounters, exposition
from ai_gateway.telemetry.metrics_values import SlotValues
from tests.running import PROJECT
from tests.telemetry.scrapes import samples_of

BOUNDS = (0.001, 0.01, 1.0, 25.0)
BESIDE = [math.nextafter(bound, toward) for bound in BOUNDS for toward in (0.0, math.inf)]
AMOUNTS = (0.0, *BOUNDS, *BESIDE, 1e9)
SERIES = 2_000
"""More than the room that the library gives a file at first."""

COUNTING = """
import sys
from pathlib import Path
from prometheus_client import values
from ai_gateway.telemetry.metrics_kinds import Counter
from ai_gateway.telemetry.metrics_values import SlotValues
values.ValueClass = SlotValues(Path(sys.argv[1]), 0)
counter = Counter("calls", "Calls.", registry=None)
for _ in range(1_000):
    counter.inc()
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a worker with slot 0; there is no room in it that was taken before."""
    monkeypatch.setattr(prometheus_values, "ValueClass", SlotValues(tmp_path, 0))
    return tmp_path


def merged(folder: Path, name: str) -> dict[tuple[str, ...], float]:
    """What a scrape says of all workers, by the library's own merger."""
    return samples_of(exposition([MergedFiles(folder)], "").text.decode(), name)


def counted_in(kinds: ModuleType, registry: CollectorRegistry) -> None:
    """Count the same in each kind of metrics."""
    histogram = kinds.Histogram("took", "Time.", ["by"], buckets=BOUNDS, registry=registry)
    summary = kinds.Summary("phase", "Time.", registry=registry)
    counter = kinds.Counter("usd", "Money.", registry=registry)
    for amount in AMOUNTS:
        histogram.labels("chat").observe(amount)
        summary.observe(amount)
        counter.inc(amount)


def figures(collector: Collector) -> set[str]:
    """The samples of a scrape; files do not know since when they are counted in."""
    text = exposition([collector], "").text.decode()
    return {line for line in text.splitlines() if line[0] != "#" and "_created" not in line}


def test_figures_are_those_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_values, "ValueClass", prometheus_values.MutexValue)
    theirs, same, ours = CollectorRegistry(), CollectorRegistry(), CollectorRegistry()
    counted_in(prometheus_client, theirs)
    counted_in(metrics_kinds, same)
    monkeypatch.setattr(prometheus_values, "ValueClass", SlotValues(tmp_path, 0))
    counted_in(metrics_kinds, ours)
    expected = figures(OwnCounters(theirs))
    assert len(expected) == len(BOUNDS) + 6
    assert figures(OwnCounters(same)) == expected
    assert figures(MergedFiles(tmp_path)) == expected


def test_values_count_on_while_their_file_grows(slot: Path) -> None:
    counter = Counter("calls", "Calls.", ["model"], registry=None)
    first = counter.labels("model-0")
    size = (slot / "counter_0.db").stat().st_size
    for number in range(1, SERIES):
        first.inc()
        counter.labels(f"model-{number}").inc(number)
    assert (slot / "counter_0.db").stat().st_size > size
    first.inc()
    expected = {(f"model-{number}",): number for number in range(1, SERIES)}
    assert merged(slot, "calls_total") == {("model-0",): SERIES, **expected}


def test_everything_counted_survives_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTING, str(tmp_path)]
    worker = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"counted\n"
        worker.kill()
    assert merged(tmp_path, "calls_total") == {(): 1_000}


def test_threads_that_add_at_once_lose_nothing(slot: Path) -> None:
    counter = Counter("calls", "Calls.", registry=None)

    def count() -> None:
        for _ in range(10_000):
            counter.inc()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert merged(slot, "calls_total") == {(): 40_000}


def test_counter_never_falls(slot: Path) -> None:
    counter = Counter("usd", "Money.", registry=None)
    counter.inc(2)
    with pytest.raises(ValueError, match="falls"):
        counter.inc(-1)
    assert merged(slot, "usd_total") == {(): 2}
