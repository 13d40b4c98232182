"""Panels of Grafana's classic dashboard JSON: one function for each visualisation.

Knows no metric and no board of ours; those are in the tables.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Steps = tuple[tuple[float, str], ...]

# The data source is a variable, so that a board can be imported next to any Prometheus.
DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression; `legend` names the series, in tables the column."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How one series or column differs from the rest of its panel."""

    colour: str = ""
    unit: str = ""
    steps: Steps = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One line of a board's table."""

    title: str
    view: Callable[["Panel"], Json]
    """One of the functions below."""
    unit: str
    size: tuple[int, int]
    """Width in 24ths of the board, and height in grid units."""
    why: str
    """What the reader learns from it: shown behind the (i) of the panel."""
    queries: tuple[Query, ...]
    steps: Steps = ()
    """Thresholds, lowest first, as (from, colour); empty where nobody would act."""
    looks: Mapping[str, Look] = field(default_factory=dict)
    """Exceptions by the name of the series or column."""


def stat(panel: Panel) -> Json:
    """One number as of now; coloured only where thresholds say so."""
    return _reduced(panel, "stat") | {
        "options": {
            "colorMode": "value" if panel.steps else "none",
            "graphMode": "none",
            "textMode": "value",
            "reduceOptions": _last_value(),
        },
    }


def sparkline(panel: Panel) -> Json:
    """One number as of now over its recent course."""
    body = stat(panel)
    body["options"]["graphMode"] = "area"
    return body | {"targets": _targets(panel.queries)}


def lines(panel: Panel) -> Json:
    """Series over time; thresholds are drawn as lines."""
    return _over_time(panel, {"lineWidth": 2, "fillOpacity": 0})


def stacked(panel: Panel) -> Json:
    """Parts of a whole over time."""
    return _over_time(panel, {"lineWidth": 1, "fillOpacity": 40, "stacking": {"mode": "normal"}})


def daily_bars(panel: Panel) -> Json:
    """Stacked bars of whole days over the last two weeks, whatever the board's time range.

    The interval keeps the steps a day apart: closer ones would show one day many times over.
    """
    bars = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}
    return _over_time(panel, bars) | {"interval": "1d", "timeFrom": "14d"}


def donut(panel: Panel) -> Json:
    """Shares of a total."""
    return _reduced(panel, "piechart") | {
        "options": {
            "pieType": "donut",
            "reduceOptions": _last_value(),
            "legend": {
                "displayMode": "table",
                "placement": "right",
                "showLegend": True,
                "values": ["value", "percent"],
            },
            "tooltip": {"mode": "single", "sort": "none"},
        },
    }


def table(panel: Panel) -> Json:
    """One line for each label set, one column for each query, named by the query's legend."""
    targets = _targets(panel.queries, instant=True, form="table")
    names = {f"Value #{target['refId']}": target["legendFormat"] for target in targets}
    return _reduced(panel, "table") | {
        "targets": targets,
        "transformations": [
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {"excludeByName": {"Time": True}, "renameByName": names},
            },
        ],
        "options": {
            "showHeader": True,
            "cellHeight": "sm",
            "sortBy": [{"displayName": panel.queries[0].legend, "desc": True}],
        },
    }


def up_or_down(panel: Panel) -> Json:
    """Bands over time, one for each series: 1 is up, 0 is down."""
    body = _body(panel, "state-timeline", {"fillOpacity": 70, "lineWidth": 0})
    body["fieldConfig"]["defaults"]["mappings"] = [
        {
            "type": "value",
            "options": {
                "0": {"text": "down", "color": "red", "index": 0},
                "1": {"text": "up", "color": "green", "index": 1},
            },
        }
    ]
    return body | {
        "targets": _targets(panel.queries),
        "options": {
            "showValue": "auto",
            "mergeValues": True,
            "rowHeight": 0.8,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
            "tooltip": {"mode": "single", "sort": "none"},
        },
    }


def _over_time(panel: Panel, custom: Json) -> Json:
    drawn = {"thresholdsStyle": {"mode": "line"}} if panel.steps else {}
    return _body(panel, "timeseries", {"showPoints": "never"} | custom | drawn) | {
        "targets": _targets(panel.queries),
        "options": {
            "legend": {
                "displayMode": "table",
                "placement": "right",
                "showLegend": True,
                "calcs": ["mean", "max"],
            },
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _reduced(panel: Panel, kind: str) -> Json:
    # An instant query: a total over `$__range` is one figure, not one for each step.
    return _body(panel, kind, {}) | {"targets": _targets(panel.queries, instant=True)}


def _body(panel: Panel, kind: str, custom: Json) -> Json:
    defaults: Json = {"unit": panel.unit, "custom": custom}
    if panel.steps:
        defaults["thresholds"] = _thresholds(panel.steps)
    if panel.steps and kind == "stat":
        defaults["color"] = {"mode": "thresholds"}
    return {
        "type": kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": DATA_SOURCE,
        "fieldConfig": {
            "defaults": defaults,
            "overrides": [_override(name, look) for name, look in panel.looks.items()],
        },
    }


def _override(name: str, look: Look) -> Json:
    properties: list[Json] = []
    if look.colour:
        properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": look.colour}})
    if look.unit:
        properties.append({"id": "unit", "value": look.unit})
    if look.steps:
        properties.append({"id": "thresholds", "value": _thresholds(look.steps)})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def _thresholds(steps: Steps) -> Json:
    # The lowest step has no lower end; the format says that with null.
    (_, lowest), *others = steps
    base: list[Json] = [{"value": None, "color": lowest}]
    above = [{"value": value, "color": colour} for value, colour in others]
    return {"mode": "absolute", "steps": base + above}


def _last_value() -> Json:
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}


def _targets(
    queries: Sequence[Query], *, instant: bool = False, form: str = "time_series"
) -> list[Json]:
    return [
        {
            "refId": chr(ord("A") + position),
            "datasource": DATA_SOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "format": form,
            "instant": instant,
            "range": not instant,
        }
        for position, query in enumerate(queries)
    ]
