"""The boards' files: up to date, valid for Grafana's schema, and fit to read."""

import json
import re
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import units

from ai_gateway.factory import create_app
from tests.grafana.shipped import BOARDS, GRAFANA, Json, load, panels

GENERATOR = [sys.executable, str(GRAFANA / "boards.py")]
UNITS = {value for value in vars(units).values() if isinstance(value, str)}

every_board = pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)


def differences(ours: object, schema: object, where: str = "board") -> Iterator[str]:
    """Yield what the schema's types dropped or changed; members that they add are defaults."""
    if isinstance(ours, dict) and isinstance(schema, dict):
        for name, value in ours.items():
            if name in schema:
                yield from differences(value, schema[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is not in the schema"
    elif isinstance(ours, list) and isinstance(schema, list) and len(ours) == len(schema):
        for position, (left, right) in enumerate(zip(ours, schema, strict=True)):
            yield from differences(left, right, f"{where}[{position}]")
    elif ours != schema:
        yield f"{where}: {ours!r} became {schema!r}"


def schema_faults(board: Json) -> list[str]:
    with warnings.catch_warnings():
        # The classic format is what we mean; its module warns as soon as it is imported, which is
        # why the import is here.
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.cog.plugins import register_default_plugins  # noqa: PLC0415
        from grafana_foundation_sdk.models.dashboard import Dashboard  # noqa: PLC0415

        register_default_plugins()
        typed = Dashboard.from_json(json.loads(json.dumps(board)))
    return list(differences(board, json.loads(json.dumps(typed, cls=JSONEncoder))))


def test_the_files_are_what_the_generator_makes() -> None:
    checked = subprocess.run([*GENERATOR, "--check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_file_changed_by_hand_is_found(tmp_path: Path) -> None:
    folder = ["--folder", str(tmp_path)]
    subprocess.run([*GENERATOR, *folder], check=True)
    changed = tmp_path / BOARDS[0].name
    changed.write_text(changed.read_text(encoding="utf-8").replace("Spend today", "Spent today"))

    checked = subprocess.run(
        [*GENERATOR, "--check", *folder], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 1
    assert f"{changed.name} is out of date" in checked.stderr


@every_board
def test_grafanas_schema_knows_every_member(path: Path) -> None:
    assert schema_faults(load(path)) == []


def _misspell(member: Json, name: str) -> None:
    member[f"{name}x"] = member.pop(name)


@pytest.mark.parametrize(
    "plant",
    [
        pytest.param(lambda board: _misspell(board, "graphTooltip"), id="board"),
        pytest.param(lambda board: _misspell(panels(board)[0], "description"), id="panel"),
        pytest.param(lambda board: _misspell(panels(board)[0]["targets"][0], "expr"), id="target"),
        pytest.param(
            lambda board: _misspell(panels(board)[0]["options"], "graphMode"), id="option"
        ),
        pytest.param(
            lambda board: _misspell(panels(board)[0]["fieldConfig"]["defaults"], "unit"), id="unit"
        ),
        pytest.param(
            lambda board: _misspell(board["templating"]["list"][1], "includeAll"), id="variable"
        ),
        pytest.param(lambda board: _misspell(board["links"][0], "keepTime"), id="link"),
        pytest.param(
            lambda board: _misspell(board["annotations"]["list"][0], "useValueForTime"), id="mark"
        ),
    ],
)
def test_a_planted_typo_is_found(plant: Callable[[Json], None]) -> None:
    board = load(BOARDS[0])
    plant(board)
    assert len(schema_faults(board)) == 1


@every_board
def test_units_are_grafanas(path: Path) -> None:
    for panel in panels(load(path)):
        config = panel["fieldConfig"]
        used = [config["defaults"]["unit"]] + [
            item["value"]
            for override in config["overrides"]
            for item in override["properties"]
            if item["id"] == "unit"
        ]
        assert set(used) <= UNITS, panel["title"]


@every_board
def test_ids_and_titles_are_unique(path: Path) -> None:
    board = load(path)
    for name in ("id", "title"):
        assert set(Counter(panel[name] for panel in board["panels"]).values()) == {1}


@every_board
def test_the_grid_has_no_overlap_and_no_hole(path: Path) -> None:
    places = [panel["gridPos"] for panel in load(path)["panels"]]
    cells = Counter(
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    bottom = max(place["y"] + place["h"] for place in places)
    assert cells == Counter((x, y) for x in range(24) for y in range(bottom))


@every_board
def test_rows_stand_before_the_panels_below_them(path: Path) -> None:
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in load(path)["panels"]]
    assert all(before < after for before, after in pairwise(places))


@every_board
def test_every_panel_says_why_and_has_a_title_that_fits(path: Path) -> None:
    for panel in panels(load(path)):
        assert len(panel["description"]) > 40, panel["title"]
        if panel["gridPos"]["w"] <= 4:
            assert len(panel["title"]) <= 18, panel["title"]


@every_board
def test_no_data_source_is_fixed(path: Path) -> None:
    board = load(path)
    first, *others = board["templating"]["list"]
    assert (first["type"], first["query"]) == ("datasource", "prometheus")
    owners = [
        *(variable for variable in others if variable["type"] == "query"),
        *board["annotations"]["list"],
        *panels(board),
        *(target for panel in panels(board) for target in panel["targets"]),
    ]
    assert {owner["datasource"]["uid"] for owner in owners} == {"${datasource}"}


@every_board
def test_variables_that_queries_use_exist_and_all_means_all(path: Path) -> None:
    board = load(path)
    declared = {variable["name"]: variable for variable in board["templating"]["list"]}
    text = json.dumps([panels(board), board["templating"], board["links"], board["annotations"]])
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    assert used == set(declared)
    for variable in declared.values():
        if variable["type"] == "query":
            assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (
                True,
                True,
                ".*",
            )


@every_board
def test_links_lead_to_the_other_boards_and_keep_time_and_choices(path: Path) -> None:
    board = load(path)
    to_boards, to_staff = board["links"]
    assert (to_boards["type"], to_boards["tags"]) == ("dashboards", board["tags"])
    assert (to_boards["keepTime"], to_boards["includeVars"]) == (True, True)
    assert to_staff["url"].startswith("${gateway_url}/admin/")


def test_links_to_staff_pages_lead_to_pages(tmp_path: Path) -> None:
    app = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path)})
    served = {rule.rule for rule in app.url_map.iter_rules()}
    text = "".join(path.read_text(encoding="utf-8") for path in BOARDS)
    linked = set(re.findall(r"\$\{gateway_url\}([\w/-]+)", text))
    assert linked
    assert linked <= served


def test_boards_can_be_told_apart() -> None:
    boards = [load(path) for path in BOARDS]
    for name in ("uid", "title"):
        assert len({board[name] for board in boards}) == len(BOARDS) == 3


def test_the_data_source_has_the_interval_of_the_scrapes() -> None:
    """`$__rate_interval` is made from it: too short a one leaves holes in every line."""
    source = (GRAFANA / "provisioning/datasources/prometheus.yml").read_text(encoding="utf-8")
    scrape = (GRAFANA / "prometheus/prometheus.yml").read_text(encoding="utf-8")
    told = re.search(r"timeInterval: (\S+)", source)
    done = re.search(r"scrape_interval: (\S+)", scrape)
    assert told is not None
    assert done is not None
    assert told[1] == done[1]
