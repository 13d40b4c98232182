"""What is shipped for Grafana and Prometheus, read from the files: panels' queries and rules."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

GRAFANA = Path(__file__).parents[2] / "grafana"
PROMETHEUS = GRAFANA / "prometheus"
BOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel."""

    board: str
    panel: str
    kind: str
    """The panel's visualisation, in Grafana's words."""
    ref: str
    expr: str
    legend: str
    is_table: bool

    def __str__(self) -> str:
        return f"{self.board} {self.panel} {self.ref}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule, or an alert with what it says."""

    name: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    is_alert: bool

    def __str__(self) -> str:
        return self.name


def load(path: Path) -> Json:
    board: Json = json.loads(path.read_text(encoding="utf-8"))
    return board


def panels(board: Json) -> list[Json]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def _targets() -> Iterator[Target]:
    for path in BOARDS:
        for panel in panels(load(path)):
            for target in panel["targets"]:
                yield Target(
                    board=path.stem,
                    panel=panel["title"],
                    kind=panel["type"],
                    ref=target["refId"],
                    expr=target["expr"],
                    legend=target["legendFormat"],
                    is_table=target["format"] == "table",
                )


def rules(name: str) -> list[Rule]:
    """Read a file of `rules/`."""
    content = read_yaml(PROMETHEUS / "rules" / name)
    return [
        Rule(
            name=rule.get("alert") or rule["record"],
            expr=rule["expr"],
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
            is_alert="alert" in rule,
        )
        for group in content["groups"]
        for rule in group["rules"]
    ]


def read_yaml(path: Path) -> Json:
    content: Json = yaml.safe_load(path.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]  # the library's gap
    return content


TARGETS = list(_targets())
RECORDING = rules("recording.yml")
ALERTS = rules("alerts.yml")
