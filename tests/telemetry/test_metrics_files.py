"""Room for the files of a worker: all of it at its start, or the worker is not counted."""

import logging
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import values as prometheus_values

from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_files import ROOM, take_room
from ai_gateway.telemetry.metrics_labels import MOST_PAIRS
from ai_gateway.telemetry.metrics_traffic import METERED
from tests.telemetry.facts import settled_call
from tests.telemetry.scrapes import NOTHING, samples

PROVIDERS = 20
SMALL = 2**20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """That of the workers' files."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    yield tmp_path
    prometheus_values.ValueClass = prometheus_values.MutexValue


@pytest.fixture
def small_files() -> Iterator[None]:
    """As if the disk were full: no file of this process grows beyond a megabyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SMALL, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir()}


def test_files_have_no_holes_and_never_grow(folder: Path) -> None:
    """Whatever is asked for: every provider, pair and operation that there is room for."""
    metrics = Metrics(3, capacity=10)
    at_start = sizes(folder)
    assert at_start == {f"{kind}_3.db": size for kind, size in ROOM.items()}
    for file in folder.iterdir():
        assert file.stat().st_blocks * 512 >= file.stat().st_size
    asked = [settled_call(model=f"a-model-with-a-long-name-{n:03}") for n in range(MOST_PAIRS)]
    unpriced = settled_call(price_row="")
    asked += [
        replace(unpriced, call=replace(unpriced.call, provider=f"a-long-provider-{n}"))
        for n in range(PROVIDERS)
    ]
    for fact in asked:
        for operation in METERED:
            for stream in (False, True):
                call = replace(fact.call, operation=operation, stream=stream)
                metrics.settled(replace(fact, call=call))
    assert sizes(folder) == at_start


def test_counts_of_an_earlier_worker_of_the_slot_stay(folder: Path) -> None:
    Metrics(0).workers.refusals_lost(5)
    assert samples(Metrics(0), "ai_gateway_refusals_lost_total") == {(): 5}


@pytest.mark.usefixtures("small_files")
def test_worker_without_room_serves_and_is_not_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        metrics = Metrics(0)
    metrics.settled(settled_call())
    assert list(folder.iterdir()) == []
    assert metrics.scrape(NOTHING).text
    assert samples(metrics, "ai_gateway_workers") == {}
    (record,) = caplog.records
    assert (record.getMessage(), record.__dict__["slot"]) == ("worker_is_not_counted", 0)


@pytest.mark.usefixtures("small_files")
def test_counts_of_others_stay_where_a_worker_finds_no_room(folder: Path) -> None:
    (folder / "counter_0.db").write_bytes(b"counted before")
    assert take_room(folder, 0) is False
    assert sizes(folder) == {"counter_0.db": len(b"counted before")}
