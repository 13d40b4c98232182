"""The tables, the JSON, and the section of the docs that is written by the bench."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.__main__ import CHART, PAGE, RESULTS
from bench.contestants import CONTESTANTS, OURS
from bench.errors import BenchError
from bench.figures import Calls, Events
from bench.peers import litellm, portkey
from bench.report import (
    BEGIN,
    END,
    machine,
    markdown,
    text,
    versions,
    with_figures,
    write_json,
)
from bench.tables import tables
from bench.traces import counted
from tests.bench import figures_made_up


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def lines_between_the_marks() -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return page.partition(BEGIN)[2].partition(END)[0].splitlines()


def test_tables_have_a_cell_for_each_heading_and_lines_of_one_length() -> None:
    for table in tables(figures_made_up.RESULTS):
        assert {len(row) for row in table.rows} == {len(table.headings)}
        assert len({len(line) for line in table.text().splitlines()}) == 1


def test_added_latency_is_the_difference_to_the_pass_through_under_the_same_load() -> None:
    (table,) = (one for one in tables(figures_made_up.RESULTS) if one.title == "Calls")
    added = {(row[0], row[1]): row[table.headings.index("added p50")] for row in table.rows}
    assert added["1", OURS] == "+1.50"
    assert added["32", OURS] == "+0.00"
    assert added["1", "nginx"] == ""


def test_only_a_server_whose_processes_are_told_apart_has_roles() -> None:
    (table,) = (one for one in tables(figures_made_up.RESULTS) if one.title == "Calls")
    row = {(one[0], one[1]): one[2:7] for one in table.rows}
    assert row["32", OURS] == ["400", "80", "120", "", "600"]
    assert row["32", portkey.NAME] == ["", "", "", "", "1,000"]


def test_nothing_is_written_without_its_sign() -> None:
    (table,) = (one for one in tables(figures_made_up.RESULTS) if "open one" in one.title)
    assert "-0.0" not in table.text()


def test_what_was_not_measured_is_said_in_text_and_docs() -> None:
    results = figures_made_up.RESULTS
    for written in (text(results), markdown(results, machine(0.25))):
        assert "Portkey: streams" in written
        assert "HTTP/1.1 500" in written


@pytest.mark.parametrize(("rounds", "told"), [(3, "Medians of 3 rounds."), (1, "One round")])
def test_the_number_of_rounds_is_told(rounds: int, told: str) -> None:
    results = figures_made_up.RESULTS
    measured: list[Calls | Events] = [*results.calls, *results.events] * rounds
    assert told in markdown(replace(results, rounds=measured), machine(0.25))


def test_traces_that_were_dropped_are_told() -> None:
    told = "1,200 offered, 1,190 sent, 10 dropped"
    assert told in text(figures_made_up.RESULTS)
    assert told in markdown(figures_made_up.RESULTS, machine(0.25))


def test_traces_are_summed_up_over_the_reasons_for_dropping_them() -> None:
    metrics = """# TYPE ai_gateway_export_offered_total counter
ai_gateway_export_offered_total{sink="langsmith"} 9.0
# TYPE ai_gateway_export_dropped_total counter
ai_gateway_export_dropped_total{reason="queue_full",sink="langsmith"} 2.0
ai_gateway_export_dropped_total{reason="exit",sink="langsmith"} 1.0
"""
    assert counted(metrics) == {"offered": 9, "sent": 0, "dropped": 3}


def test_figures_replace_what_stood_between_the_marks() -> None:
    once = with_figures(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert with_figures(once, "new") == once


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_page_without_its_marks_is_refused(page: str) -> None:
    with pytest.raises(BenchError, match="lost its marks"):
        with_figures(page, "new")


def test_json_has_machine_medians_and_rounds(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    write_json(path, machine(0.25), figures_made_up.RESULTS)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["machine"]["other_work"] == "25%"
    assert content["calls"][3]["cpu_us"]["by_role"]["worker"] == 400
    assert content["rounds"] == []


@pytest.mark.nginx
def test_versions_of_others_are_those_that_are_installed() -> None:
    said = versions()
    assert said["LiteLLM"] == "1.106.2"
    assert re.fullmatch(r"\d+\.\d+\.\d+", said["Portkey"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", said["nginx"])


def test_the_page_has_the_figures_of_the_json_beside_it() -> None:
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = [cells(line) for line in lines_between_the_marks() if line.startswith("|")]
    for one in content["calls"]:
        (row,) = (row for row in rows if row[:2] == [str(one["connections"]), one["server"]])
        assert row[6] == f"{one['cpu_us']['whole']:,.0f}"
    for one in content["events"]:
        (row,) = (row for row in rows if row[:2] == [one["load"], one["server"]])
        assert row[6] == f"{one['cpu_us']['whole']:,.0f}"


def test_the_page_names_every_contestant_and_why_one_is_missing() -> None:
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    told = "\n".join(lines_between_the_marks())
    for one in CONTESTANTS:
        assert one.name in told
    for what in content["not_measured"]:
        assert f"- {what}: " in told


def test_the_chart_has_the_figures_and_follows_light_and_dark() -> None:
    drawn = CHART.read_text(encoding="utf-8")
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    for one in content["calls"]:
        if one["connections"] == 32:
            assert f"{one['cpu_us']['whole']:,.0f}" in drawn
    assert "prefers-color-scheme" in drawn
    assert "currentColor" in drawn


def test_the_page_was_measured_with_the_versions_that_are_pinned() -> None:
    content = json.loads(RESULTS.read_text(encoding="utf-8"))
    wanted = json.loads(portkey.PACKAGES.read_text(encoding="utf-8"))["dependencies"]
    assert content["machine"]["Portkey"] == wanted["@portkey-ai/gateway"]
    assert f"=={content['machine']['LiteLLM']}\n" in litellm.REQUIREMENTS.read_text("utf-8")
