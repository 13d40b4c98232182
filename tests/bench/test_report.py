"""The tables, and the section of the docs that is written by the bench."""

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.figures import Figures
from bench.report import (
    BEGIN,
    END,
    HEADINGS,
    machine,
    markdown,
    text_table,
    with_figures,
    write_json,
)

NGINX = Figures("nginx", 32, 10, {"other": 20.0}, 20.0, 50_000.0, 0.5, 0.9, 1.0)
OURS = Figures("AI Gateway", 32, 10, {"worker": 400.0, "valkey": 50.0}, 450.0, 2000.0, 16, 20, 25)
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def test_text_table_has_a_line_for_each_server_and_the_ratio() -> None:
    head, nginx, ours = text_table([NGINX, OURS]).splitlines()
    assert len(head) == len(nginx) == len(ours)
    assert nginx.split()[-1] == "1.0"
    assert ours.split()[-1] == "22.5"


def test_ratio_is_left_out_where_nginx_had_no_such_load() -> None:
    (*_, last) = text_table([OURS]).splitlines()[1].split("  ")
    assert not last.strip()


def test_markdown_rows_have_a_cell_for_each_heading() -> None:
    table = [
        line for line in markdown([NGINX, OURS], machine(0.25)).splitlines() if line.startswith("|")
    ]
    assert {line.count("|") for line in table} == {len(HEADINGS) + 1}


def test_figures_replace_what_stood_between_the_marks() -> None:
    once = with_figures(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new")
    assert once == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert with_figures(once, "new") == once


@pytest.mark.parametrize("page", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_page_without_its_marks_is_refused(page: str) -> None:
    with pytest.raises(BenchError, match="lost its marks"):
        with_figures(page, "new")


def test_the_page_has_its_marks() -> None:
    assert "new" in with_figures(PAGE.read_text(encoding="utf-8"), "new")


def test_json_has_every_round_and_the_medians(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    write_json(path, machine(0.25), [NGINX, OURS, OURS], [NGINX, OURS])
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [len(content[name]) for name in ("rounds", "medians")] == [3, 2]
    assert content["medians"][1]["cpu_us"] == {"worker": 400.0, "valkey": 50.0}
    assert content["machine"]["other_work"] == "25%"
