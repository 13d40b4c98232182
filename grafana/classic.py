"""A whole board as Grafana's classic dashboard JSON, schema 42: rows, layout, links, marks.

Grafana 11 and 12 read this format as it is, 13 converts it on load.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana.panel import DATA_SOURCE, Json, Link, Panel
from grafana.queries import promql
from grafana.variables import Choice, variables

GRID_WIDTH = 24
ROW_HEIGHT = 1
TAG = "ai-gateway"


@dataclass(frozen=True, slots=True)
class Row:
    """One theme of a board, with its panels from left to right."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard. Links to it contain its `uid`, which therefore stays."""

    uid: str
    title: str
    description: str
    since: str
    """Start of the time that it shows at first, such as `now-24h`."""
    refresh: str
    choices: tuple[Choice, ...]
    staff_page: Link
    """The page of the gateway with the same figures."""
    rows: tuple[Row, ...]


def dashboard(board: Board) -> Json:
    return {
        "uid": board.uid,
        "title": board.title,
        "description": board.description,
        "tags": [TAG],
        "schemaVersion": 42,
        "editable": True,
        "graphTooltip": 1,  # the cross-hair is shared by all panels
        "timezone": "browser",
        "time": {"from": board.since, "to": "now"},
        "refresh": board.refresh,
        "links": [_other_boards(), _link(board.staff_page)],
        "annotations": {"list": [_restarts()]},
        "templating": {"list": variables(board.choices)},
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


def _other_boards() -> Json:
    """The boards of our tag, with the time and the choices made here."""
    return {
        "type": "dashboards",
        "title": "Boards",
        "tags": [TAG],
        "asDropdown": False,
        "icon": "dashboard",
        "tooltip": "",
        "targetBlank": False,
        "includeVars": True,
        "keepTime": True,
    }


def _link(link: Link) -> Json:
    return {
        "type": "link",
        "title": link.title,
        "url": link.url,
        "tags": [],
        "asDropdown": False,
        "icon": "external link",
        "tooltip": "",
        "targetBlank": True,
        "includeVars": False,
        "keepTime": False,
    }


def _restarts() -> Json:
    """A mark where an instance was started: its counters began anew there."""
    # The value is the moment, so that every scrape tells the same mark.
    return {
        "name": "Restarts",
        "enable": True,
        "iconColor": "blue",
        "datasource": DATA_SOURCE,
        "expr": promql("1000 * max by (instance) (ai_gateway_start_time_seconds{<SEL>})").expr,
        "useValueForTime": True,
        "step": "60s",
        "titleFormat": "Start of {{instance}}",
        "tagKeys": "instance",
    }
