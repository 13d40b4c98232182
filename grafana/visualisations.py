"""Grafana's visualisations: one function for each, from a panel's row to its JSON."""

from grafana.panel import Json, Panel, body, instant_targets, targets


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
    made = stat(panel)
    made["options"]["graphMode"] = "area"
    return made | {"targets": targets(panel.queries)}


def named_stats(panel: Panel) -> Json:
    """One number for each series, with its name; coloured by the thresholds of its look."""
    made = stat(panel)
    made["options"] |= {"textMode": "value_and_name", "colorMode": "value"}
    made["fieldConfig"]["defaults"]["color"] = {"mode": "thresholds"}
    return made


def gauge(panel: Panel) -> Json:
    """A share of a whole; the dial ends at 1."""
    made = _reduced(panel, "gauge")
    made["fieldConfig"]["defaults"] |= {"min": 0, "max": 1}
    return made | {
        "options": {
            "showThresholdLabels": False,
            "showThresholdMarkers": True,
            "reduceOptions": _last_value(),
        },
    }


def bars(panel: Panel) -> Json:
    """A bar for each series, in the order of the query."""
    made = _reduced(panel, "bargauge")
    if not panel.steps:
        # Grafana's own thresholds would paint everything above 80 red.
        made["fieldConfig"]["defaults"]["color"] = {"mode": "fixed", "fixedColor": "blue"}
    return made | {
        "options": {
            "displayMode": "basic",
            "orientation": "horizontal",
            "valueMode": "color",
            "showUnfilled": True,
            "reduceOptions": _last_value(),
        },
    }


def lines(panel: Panel) -> Json:
    """Series over time; thresholds are drawn as lines."""
    return _over_time(panel, {"lineWidth": 2, "fillOpacity": 0})


def stacked(panel: Panel) -> Json:
    """Parts of a whole over time.

    Without lines: those of parts that are 0 would be drawn on top of the others.
    """
    return _over_time(panel, {"lineWidth": 0, "fillOpacity": 80, "stacking": {"mode": "normal"}})


def stacked_bars(panel: Panel) -> Json:
    """Rare parts of a whole over time."""
    drawn = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}
    return _over_time(panel, drawn)


def daily_bars(panel: Panel) -> Json:
    """Stacked bars of whole days.

    The interval keeps the steps a day apart: closer ones would show one day many times over.
    """
    return stacked_bars(panel) | {"interval": "1d"}


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
    columns = instant_targets(panel.queries, form="table")
    names = {f"Value #{column['refId']}": column["legendFormat"] for column in columns}
    return body(panel, "table", {}) | {
        "targets": columns,
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
    made = body(panel, "state-timeline", {"fillOpacity": 70, "lineWidth": 0})
    made["fieldConfig"]["defaults"]["mappings"] = [
        {
            "type": "value",
            "options": {
                "0": {"text": "down", "color": "red", "index": 0},
                "1": {"text": "up", "color": "green", "index": 1},
            },
        }
    ]
    return made | {
        "targets": targets(panel.queries),
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
    # What is measured here is never below 0, and bars that begin elsewhere lie.
    common = {"showPoints": "never", "axisSoftMin": 0}
    return body(panel, "timeseries", common | custom | drawn) | {
        "targets": targets(panel.queries),
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
    return body(panel, kind, {}) | {"targets": instant_targets(panel.queries)}


def _last_value() -> Json:
    return {"calcs": ["lastNotNull"], "fields": "", "values": False}
