"""What a Prometheus answers to every panel of a board, as the page that draws it reads it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode
from urllib.request import urlopen

from bench.boards.day import DAY, SCRAPE_EVERY
from bench.boards.history import JOB
from bench.errors import BenchError
from grafana.panel import Json

STEP_SECONDS = 120
RATE_SECONDS = 4 * int(SCRAPE_EVERY.total_seconds())
"""As Grafana reckons `$__rate_interval`: never less than four scrapes."""

DAY_SECONDS = int(DAY.total_seconds())


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the questions go, and the end of the day that they are about."""

    address: str
    end: datetime

    def answers(self, board: Json) -> dict[int, list[Json]]:
        """For each panel by its id, an answer for each of its queries."""
        panels = [panel for panel in board["panels"] if panel["type"] != "row"]
        return {panel["id"]: [self._answer(panel, t) for t in panel["targets"]] for panel in panels}

    def _answer(self, panel: Json, target: Json) -> Json:
        expr = substituted(target["expr"])
        end = self.end.timestamp()
        if target["instant"]:
            series = self._ask("query", query=expr, time=end)
        else:
            step = DAY_SECONDS if panel.get("interval") == "1d" else STEP_SECONDS
            start = end - DAY_SECONDS
            series = self._ask("query_range", query=expr, start=start, end=end, step=step)
        return {
            "legend": target["legendFormat"],
            "isTable": target["format"] == "table",
            "series": [_series(target["legendFormat"], one) for one in series],
        }

    def _ask(self, path: str, **parameters: object) -> list[Json]:
        # An address of our own on loopback.
        with urlopen(f"{self.address}/api/v1/{path}?{urlencode(parameters)}") as answer:
            said = json.load(answer)
        if said["status"] != "success":
            raise BenchError(f"Prometheus says: {said['error']}")
        result: list[Json] = said["data"]["result"]
        return result


def substituted(expr: str) -> str:
    """Fill in what Grafana would: one job, the whole day, else "All"."""
    words = {
        "$__rate_interval": f"{RATE_SECONDS}s",
        "$__range": f"{DAY_SECONDS}s",
        "$job": JOB,
        "$window": "day",
    }
    for word, meant in words.items():
        expr = expr.replace(word, meant)
    return re.sub(r"\$\w+", ".*", expr)


def _series(legend: str, one: Json) -> Json:
    labels: Mapping[str, str] = one["metric"]
    points = one["values"] if "values" in one else [one["value"]]
    return {
        "name": re.sub(r"{{\s*(\w+)\s*}}", lambda found: labels.get(found[1], ""), legend),
        "labels": labels,
        "times": [round(moment * 1000) for moment, _ in points],
        "values": [_number(value) for _, value in points],
    }


def _number(text: str) -> float | str:
    """JSON has no NaN: what is not finite stays a word, so that the picture shows it."""
    value = float(text)
    return value if value - value == 0 else text
