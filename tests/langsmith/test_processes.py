"""Tracing in the processes as they are served: two gevent workers, stopped and killed."""

import json
import os
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ai_gateway.telemetry.metrics_scrape import MergedFiles
from tests.e2e.processes import workers
from tests.langsmith.stand_in import StandIn
from tests.running import RunningGateway, wait_for

pytestmark = pytest.mark.long

PATIENCE_SECONDS = 15
"""A stop takes a few seconds without tracing; the drain of traces is three more."""


@pytest.fixture
def gateway(tmp_path: Path, stand_in: StandIn) -> Iterator[RunningGateway]:
    running = RunningGateway(
        tmp_path, {"LANGSMITH_API_KEY": stand_in.key, "LANGSMITH_ENDPOINT": stand_in.url}
    )
    running.start()
    yield running
    running.end()


def call(gateway: RunningGateway, key: str) -> float:
    """The seconds that a call took."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body | {"max_tokens": 5}), headers
    )
    response = connection.getresponse()
    response.read()
    connection.close()
    assert response.status == 200
    return time.perf_counter() - began


def call_many(gateway: RunningGateway, key: str, number: int) -> list[float]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda _: call(gateway, key), range(number)))


def account(gateway: RunningGateway) -> dict[str, float]:
    """The counters of all workers that ever were, from the files that outlive them."""
    found: dict[str, float] = {}
    for family in MergedFiles(gateway.data_dir / "metrics").collect():
        if family.name.startswith("ai_gateway_export_"):
            for sample in family.samples:
                name = sample.name.removeprefix("ai_gateway_export_").removesuffix("_total")
                found[name] = found.get(name, 0) + sample.value
                if "reason" in sample.labels:
                    found[sample.labels["reason"]] = sample.value
    return found


def test_two_workers_send_every_call_before_they_end(
    gateway: RunningGateway, stand_in: StandIn
) -> None:
    call_many(gateway, gateway.make_key(), 60)
    assert gateway.stop() == 0
    counted = account(gateway)
    assert (counted["offered"], counted["sent"], counted["dropped"]) == (60, 60, 0)
    assert len(stand_in.runs) == 60
    assert set(stand_in.requests) <= {"/runs/multipart", "/api/v2/sessions"}


def test_a_hung_langsmith_keeps_no_call_waiting_and_no_worker_alive(
    gateway: RunningGateway, stand_in: StandIn
) -> None:
    key = gateway.make_key()
    healthy = statistics.median(call_many(gateway, key, 60))
    wait_for(lambda: len(stand_in.runs) == 60, "all runs arrive")
    stand_in.answer(mode="hang")
    hung = statistics.median(call_many(gateway, key, 60))
    # Far less than any wait for LangSmith, far more than the noise of a busy machine.
    assert hung < healthy + 0.1
    for worker in workers(gateway):
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: _answers(gateway, key), "new workers serve")
    stand_in.answer()
    before = account(gateway)["offered"]
    call_many(gateway, key, 10)
    wait_for(lambda: account(gateway)["offered"] == before + 10, "they are offered")
    stand_in.answer(mode="hang")
    call_many(gateway, key, 10)
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < PATIENCE_SECONDS
    counted = account(gateway)
    assert counted["dropped"] == counted["exit"]
    # What the killed workers held could not be counted by anybody: it is what is missing.
    killed = counted["offered"] - counted["sent"] - counted["dropped"]
    assert killed == 60
    assert stand_in.key[:5] not in gateway.logged()


def _answers(gateway: RunningGateway, key: str) -> bool:
    try:
        return call(gateway, key) > 0
    except (OSError, AssertionError):
        return False
