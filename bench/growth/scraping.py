"""What a scrape of `/metrics` costs with as many series as the gateway allows itself.

`python -m bench.growth.scraping` reads the number of models as JSON from standard input: it is a
process of its own, since the library is told once for all where the files of workers are.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from itertools import product
from statistics import median

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_labels import MOST_PAIRS
from ai_gateway.telemetry.metrics_scrape import FOLDER_VARIABLE
from ai_gateway.telemetry.metrics_state import State
from bench.errors import BenchError
from bench.gateway import ROOT
from tests.telemetry.facts import settled_call

WORKERS = 2
SCRAPES = 5
MODELS = (10, 28, MOST_PAIRS)


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape of two workers that served so many models; a median of five."""

    models: int
    series: int
    kilobytes: float
    cpu_ms: float


def measure() -> list[Scrape]:
    """Few models, as many as make 10,000 series, and as many as have series of their own."""
    return [_in_a_child(models) for models in MODELS]


def _in_a_child(models: int) -> Scrape:
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "bench.growth.scraping"],
            cwd=ROOT,
            env={**os.environ, FOLDER_VARIABLE: folder},
            input=json.dumps(models),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise BenchError(f"the scrape failed: {done.stderr.strip().splitlines()[-1:]}")
    return Scrape(**json.loads(done.stdout))


def _measured(models: int) -> Scrape:
    workers = [Metrics(slot, capacity=1_000) for slot in range(WORKERS)]
    for metrics in workers:
        _serve(metrics, models)
    state = State({}, {"redis": True, "sql": True})
    times = []
    for _ in range(SCRAPES):
        began = time.thread_time()
        text = workers[0].scrape(state).text
        times.append((time.thread_time() - began) * 1000)
    series = sum(bool(line) and not line.startswith(b"#") for line in text.split(b"\n"))
    return Scrape(models, series, len(text) / 1000, median(times))


def _serve(metrics: Metrics, models: int) -> None:
    """Calls of each model of every kind that end in every way, streamed and not."""
    for number in range(models):
        for outcome, operation, stream in product(Outcome, Operation, (False, True)):
            fact = settled_call(f"model-{number}", outcome=outcome, stream=stream)
            call = replace(fact.call, provider=f"provider{number % 5}", operation=operation)
            metrics.settled(replace(fact, call=call))


if __name__ == "__main__":
    json.dump(asdict(_measured(json.load(sys.stdin))), sys.stdout)
