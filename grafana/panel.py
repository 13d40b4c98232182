"""One panel in Grafana's classic dashboard JSON, as far as all visualisations share it.

Knows no metric and no board of ours; those are in the tables.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

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
    cell: Literal["", "color-text", "gauge"] = ""
    """How a table shows the column; a gauge goes from 0 to 1."""
    is_on_right: bool = False
    """Whether it has the axis on the right, for another unit."""
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where a reader goes on from here."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One line of a board's table."""

    title: str
    view: Callable[["Panel"], Json]
    """A function of `visualisations.py`."""
    unit: str
    size: tuple[int, int]
    """Width in 24ths of the board, and height in grid units."""
    why: str
    """What the reader learns from it: shown behind the (i) of the panel."""
    queries: tuple[Query, ...]
    steps: Steps = ()
    """Thresholds, lowest first, as (from, colour); empty where nobody would act."""
    looks: Mapping[str, Look] = field(default_factory=dict)
    """Exceptions by the name of the series or column; a name between slashes is a pattern."""
    link: Link | None = None


def body(panel: Panel, kind: str, custom: Json) -> Json:
    """Return the panel without its targets and options."""
    defaults: Json = {"unit": panel.unit, "custom": custom}
    if panel.steps:
        defaults["thresholds"] = _thresholds(panel.steps)
    if panel.steps and kind in {"stat", "gauge", "bargauge"}:
        defaults["color"] = {"mode": "thresholds"}
    linked = {"links": [{"title": panel.link.title, "url": panel.link.url}]} if panel.link else {}
    return {
        "type": kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": DATA_SOURCE,
        "fieldConfig": {
            "defaults": defaults,
            "overrides": [_override(name, look) for name, look in panel.looks.items()],
        },
        **linked,
    }


def targets(queries: Sequence[Query], *, form: str = "time_series") -> list[Json]:
    """Return queries over the time of the board, one value for each step."""
    return [
        {
            "refId": chr(ord("A") + position),
            "datasource": DATA_SOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "format": form,
            "instant": False,
            "range": True,
        }
        for position, query in enumerate(queries)
    ]


def instant_targets(queries: Sequence[Query], *, form: str = "time_series") -> list[Json]:
    """Return queries as of now: a total over `$__range` is one figure, not one for each step."""
    now = {"instant": True, "range": False}
    return [target | now for target in targets(queries, form=form)]


def _override(name: str, look: Look) -> Json:
    is_pattern = name.startswith("/")
    return {
        "matcher": {"id": "byRegexp" if is_pattern else "byName", "options": name},
        "properties": [{"id": id_, "value": value} for id_, value in _properties(look)],
    }


def _properties(look: Look) -> list[tuple[str, object]]:
    properties: list[tuple[str, object]] = []
    if look.colour:
        properties.append(("color", {"mode": "fixed", "fixedColor": look.colour}))
    if look.unit:
        properties.append(("unit", look.unit))
    if look.steps:
        properties.append(("thresholds", _thresholds(look.steps)))
    if look.cell:
        properties.append(("custom.cellOptions", {"type": look.cell}))
    if look.cell == "gauge":
        properties += [("min", 0), ("max", 1)]
    if look.is_on_right:
        properties.append(("custom.axisPlacement", "right"))
    if look.is_dashed:
        properties.append(("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}))
    return properties


def _thresholds(steps: Steps) -> Json:
    # The lowest step has no lower end; the format says that with null.
    (_, lowest), *others = steps
    base: list[Json] = [{"value": None, "color": lowest}]
    above = [{"value": value, "color": colour} for value, colour in others]
    return {"mode": "absolute", "steps": base + above}
