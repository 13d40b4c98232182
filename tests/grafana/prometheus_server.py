"""A real Prometheus with the shipped configuration and rules, but for addresses and intervals."""

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.grafana.shipped import PROMETHEUS, Json
from tests.serve.gateway_process import free_port

DEADLINE_SECONDS = 50
"""The bookkeeper publishes budgets every 30 s, and a slope needs two of them."""


def fetch(base_url: str, path: str, *, key: str = "", body: Json | None = None) -> bytes:
    """GET, or POST a JSON body; give the whole answer, whatever its status."""
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc, timeout=10)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body), headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def eventually(attempt: Callable[[], list[str]]) -> list[str]:
    """Repeat `attempt` until it finds no fault; give the last faults when time is up."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (faults := attempt()) and time.monotonic() < deadline:
        time.sleep(0.1)  # between two looks at the condition
    return faults


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    base_url: str

    def ask(self, path: str, **parameters: str) -> Any:
        """Give the data of an answer; raises `ValueError` with Prometheus's own words."""
        answer = json.loads(fetch(self.base_url, f"/api/v1/{path}?{urlencode(parameters)}"))
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        return answer["data"]

    def now(self, expr: str) -> list[Json]:
        """The series of `expr` as of now."""
        series: list[Json] = self.ask("query", query=expr)["result"]
        return series

    def lately(self, expr: str) -> list[Json]:
        """The series of `expr` over the last seconds."""
        now = time.time()
        span = {"start": str(now - 10), "end": str(now), "step": "1"}
        series: list[Json] = self.ask("query_range", query=expr, **span)["result"]
        return series


@contextmanager
def running_prometheus(
    folder: Path, gateway: str, stand_ins: Mapping[str, Sequence[str]]
) -> Iterator[Prometheus]:
    """Scrape the gateway and the jobs of stand-ins each second; evaluate all rules as often."""
    shutil.copytree(PROMETHEUS, folder / "config")
    config = folder / "config" / "prometheus.yml"
    jobs = "".join(
        f"  - job_name: {job}\n    static_configs:\n      - targets: {json.dumps(addresses)}\n"
        for job, addresses in stand_ins.items()
    )
    config.write_text(
        config.read_text(encoding="utf-8")
        .replace("127.0.0.1:8000", gateway)
        .replace("interval: 15s", "interval: 1s")
        .replace("  # - rules/gen_ai.yml", "  - rules/gen_ai.yml")
        + jobs,
        encoding="utf-8",
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    log = folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            server = Prometheus(f"http://{address}")
            assert eventually(lambda: _scrape_faults(server)) == [], log.read_text()
            yield server
        finally:
            process.terminate()


def _scrape_faults(server: Prometheus) -> list[str]:
    try:
        targets = server.ask("targets", state="active")["activeTargets"]
    except (OSError, ValueError) as error:
        return [str(error)]
    return [t["lastError"] or t["health"] for t in targets if t["health"] != "up"] or (
        [] if targets else ["no target yet"]
    )
