"""A whole board as Grafana's classic dashboard JSON, schema 42: variables, rows, layout.

Grafana 11 and 12 read this format as it is, 13 converts it on load.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana.visualisations import DATA_SOURCE, Json, Panel

GRID_WIDTH = 24
ROW_HEIGHT = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One theme of a board, with its panels from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the head of the board; `query` is Grafana's `label_values(...)`."""

    name: str
    label: str
    query: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. Links to it contain its `uid`, which therefore stays."""

    uid: str
    title: str
    description: str
    since: str
    """Start of the time that it shows at first, such as `now-24h`."""
    refresh: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


def dashboard(board: Board) -> Json:
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": ["ai-gateway"],
        "schemaVersion": 42,
        "editable": True,
        "graphTooltip": 1,  # the cross-hair is shared by all panels
        "timezone": "browser",
        "time": {"from": board.since, "to": "now"},
        "refresh": board.refresh,
        "templating": {"list": [_data_source(), *map(_variable, board.variables)]},
        "panels": list(_placed(board.rows)),
    }


def _placed(rows: Sequence[Row]) -> Iterator[Json]:
    """Number the panels and lay them out, row by row, from left to right."""
    number, top = 0, 0
    for row in rows:
        number += 1
        yield {
            "type": "row",
            "id": number,
            "title": row.title,
            "collapsed": False,
            "gridPos": {"h": ROW_HEIGHT, "w": GRID_WIDTH, "x": 0, "y": top},
            "panels": [],
        }
        left, top = 0, top + ROW_HEIGHT
        for panel in row.panels:
            number += 1
            width, height = panel.size
            place = {"h": height, "w": width, "x": left, "y": top}
            yield panel.view(panel) | {"id": number, "gridPos": place}
            left += width
            if left >= GRID_WIDTH:
                left, top = 0, top + height


def _data_source() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "refresh": 1,
        "multi": False,
        "includeAll": False,
    }


def _variable(variable: Variable) -> Json:
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": DATA_SOURCE,
        "definition": variable.query,
        "query": {"query": variable.query, "refId": f"Variable-{variable.name}"},
        "refresh": 2,  # when the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
