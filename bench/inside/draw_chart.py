"""Draws the chart of the benchmarks: `python draw_chart.py RESULTS.json CHART.svg`.

It runs in an environment of its own, with matplotlib, and knows nothing of the bench but its JSON.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

MAIN_CONNECTIONS = 32
ROLES = ("worker", "valkey", "bookkeeper", "other")
COLOURS = {"worker": "#3b82c4", "valkey": "#d97b29", "bookkeeper": "#4a9d5b", "other": "#8a8f98"}
LEGEND = {**{role: role for role in ROLES}, "other": "other, or not told apart"}
INK = "#123456"
"""Stands for the colour of the text around the picture, light or dark."""
STYLE = (
    "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style><defs>"
)
INK_OF = ("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor")
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}


@dataclass(frozen=True)
class Bar:
    """What one server took, in microseconds."""

    server: str
    by_role: Mapping[str, float]
    whole: float


@dataclass(frozen=True)
class Panel:
    """Bars that may be compared with one another."""

    title: str
    bars: Sequence[Bar]


def panels(results: Mapping[str, list[dict[str, object]]]) -> list[Panel]:
    calls = [one for one in results["calls"] if one["connections"] == MAIN_CONNECTIONS]
    found = [Panel(f"µs of CPU a call, {MAIN_CONNECTIONS} connections", _bars(calls))]
    for load in dict.fromkeys(str(one["load"]) for one in results["events"]):
        events = [one for one in results["events"] if one["load"] == load]
        found.append(Panel(f"µs of CPU a relayed event, {load}", _bars(events)))
    return found


def draw(found: Sequence[Panel], chart: Path) -> None:
    heights = [len(panel.bars) + 1 for panel in found]
    with mpl.rc_context({**SETTINGS, **dict.fromkeys(INK_OF, INK)}):
        figure = Figure(figsize=(8, 0.42 * sum(heights)))
        axes = figure.subplots(len(found), height_ratios=heights, squeeze=False)
        for axis, panel in zip(axes[:, 0], found, strict=True):
            _draw_panel(axis, panel)
        patches = [Patch(color=COLOURS[role], label=LEGEND[role]) for role in ROLES]
        figure.legend(handles=patches, loc="lower center", ncols=len(ROLES), frameon=False)
        figure.tight_layout(rect=(0, 0.06, 1, 1))
        figure.savefig(chart, transparent=True, metadata={"Date": None})
    text = chart.read_text(encoding="utf-8").replace(INK, "currentColor")
    chart.write_text(text.replace("<defs>", STYLE, 1), encoding="utf-8")


def _bars(rows: Iterable[dict[str, object]]) -> list[Bar]:
    bars = []
    for row in rows:
        cost = row["cpu_us"]
        assert isinstance(cost, dict)  # noqa: S101 - our own file
        bars.append(Bar(str(row["server"]), cost["by_role"], cost["whole"]))
    return bars


def _draw_panel(axis: Axes, panel: Panel) -> None:
    places = range(len(panel.bars))
    ends = [0.0] * len(panel.bars)
    for role in ROLES:
        widths = [bar.by_role.get(role, 0.0) for bar in panel.bars]
        axis.barh(places, widths, left=ends, color=COLOURS[role])
        ends = [end + width for end, width in zip(ends, widths, strict=True)]
    for place, end, bar in zip(places, ends, panel.bars, strict=True):
        axis.text(end, place, f" {bar.whole:,.0f}", va="center")
    axis.set_yticks(places, [bar.server for bar in panel.bars])
    axis.invert_yaxis()
    axis.set_title(panel.title, loc="left", fontsize=10)
    axis.set_xlim(0, max(ends) * 1.12)
    axis.set_xticks([])
    axis.spines[["top", "right", "bottom"]].set_visible(False)


if __name__ == "__main__":
    draw(panels(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), Path(sys.argv[2]))
