"""Every panel of the boards shows something: a real Prometheus scrapes a running gateway."""

import http.client
import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.running import RunningGateway
from tests.serve.gateway_process import free_port

pytestmark = pytest.mark.prometheus

GRAFANA = Path(__file__).parents[2] / "grafana"
SCRAPE_CONFIG = GRAFANA / "prometheus" / "prometheus.yml"
DEADLINE_SECONDS = 30

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel."""

    panel: str
    ref: str
    expr: str
    labels: frozenset[str]
    is_instant: bool

    def __str__(self) -> str:
        return f"{self.panel} {self.ref}"


def _targets() -> Iterator[Target]:
    for path in sorted((GRAFANA / "dashboards").glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", ()):
                yield Target(
                    panel=panel["title"],
                    ref=target["refId"],
                    expr=substituted(target["expr"]),
                    labels=frozenset(re.findall(r"{{(\w+)}}", target["legendFormat"])),
                    is_instant=target["instant"],
                )


def substituted(expr: str) -> str:
    """Fill in what Grafana would, with "All" chosen in every list."""
    spans = expr.replace("$__rate_interval", "30s").replace("$__range", "5m")
    return re.sub(r"\$\w+", ".*", spans)


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
    """A server of ours that scrapes the gateway each second."""

    base_url: str

    def ask(self, path: str, **parameters: str) -> list[Json]:
        """Give the series of an answer; raises `ValueError` with Prometheus's own words."""
        answer = json.loads(fetch(self.base_url, f"/api/v1/{path}?{urlencode(parameters)}"))
        if answer["status"] != "success":
            raise ValueError(answer["error"])
        data = answer["data"]
        series: list[Json] = data["result"] if "result" in data else data["activeTargets"]
        return series

    def series(self, target: Target) -> list[Json]:
        if target.is_instant:
            return self.ask("query", query=target.expr)
        now = time.time()
        return self.ask(
            "query_range", query=target.expr, start=str(now - 10), end=str(now), step="1"
        )


@dataclass(frozen=True, slots=True)
class Traffic:
    """A little of what callers do, each kind every time."""

    gateway: RunningGateway
    key: str

    def send(self) -> None:
        message = {"role": "user", "content": "Say this is a test."}
        good = {"model": "gpt-4o-mini", "messages": [message]}
        for key, body in (
            (self.key, good),
            (self.key, good | {"stream": True}),
            (self.key, good | {"model": "no-such-model"}),
            ("no-such-key", good),
        ):
            fetch(self.gateway.base_url, "/v1/chat/completions", key=key, body=body)


@pytest.fixture(scope="module")
def traffic(gateway: RunningGateway) -> Traffic:
    return Traffic(gateway, gateway.make_key())


@pytest.fixture(scope="module")
def prometheus(
    gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Start Prometheus with the shipped configuration, but for address and interval."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = folder / "prometheus.yml"
    config.write_text(
        SCRAPE_CONFIG.read_text(encoding="utf-8")
        .replace("127.0.0.1:8000", urlsplit(gateway.base_url).netloc)
        .replace("scrape_interval: 15s", "scrape_interval: 1s"),
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
        targets = server.ask("targets", state="active")
    except (OSError, ValueError) as error:
        return [str(error)]
    return [t["lastError"] or t["health"] for t in targets if t["health"] != "up"] or (
        [] if targets else ["no target yet"]
    )


def _panel_faults(server: Prometheus, target: Target) -> list[str]:
    series = server.series(target)
    if not series:
        return ["no data"]
    values = [
        float(value) for one in series for _, value in one.get("values", [one.get("value", ())])
    ]
    faults = [f"{value} is not finite" for value in values if not math.isfinite(value)]
    for one in series:
        empty = sorted(label for label in target.labels if not one["metric"].get(label))
        faults += [f"{one['metric']} has no {label}" for label in empty]
    return faults


@pytest.mark.parametrize("target", list(_targets()), ids=str)
def test_panel_shows_finite_data_under_its_legend(
    prometheus: Prometheus, traffic: Traffic, target: Target
) -> None:
    def attempt() -> list[str]:
        # A rate needs traffic on both sides of a scrape, so each look brings some.
        traffic.send()
        return _panel_faults(prometheus, target)

    assert eventually(attempt) == []


def test_spend_and_tokens_rise_with_the_traffic(prometheus: Prometheus, traffic: Traffic) -> None:
    def attempt() -> list[str]:
        traffic.send()
        return [
            name
            for name in ("ai_gateway_ledger_spend_usd", "ai_gateway_tokens_total")
            if not prometheus.ask("query", query=f"max({name}) > 0")
        ]

    assert eventually(attempt) == []


def test_metrics_pass_promtools_lint(gateway: RunningGateway, traffic: Traffic) -> None:
    traffic.send()
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=fetch(gateway.base_url, "/metrics"),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr.decode()) == (0, "")


def test_every_metric_of_the_boards_is_exported(gateway: RunningGateway, traffic: Traffic) -> None:
    traffic.send()
    exported = set(
        re.findall(rb"^# TYPE (\w+) ", fetch(gateway.base_url, "/metrics"), re.MULTILINE)
    )
    used = {name for target in _targets() for name in re.findall(r"ai_gateway_\w+", target.expr)}
    assert {name.encode() for name in used} <= exported


def test_the_shipped_scrape_configuration_is_valid() -> None:
    checked = subprocess.run(
        ["promtool", "check", "config", str(SCRAPE_CONFIG)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
