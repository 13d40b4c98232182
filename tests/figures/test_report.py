"""The page is what was measured, and a figure that falls short says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.total_loss.loss import Loss
from tests.figures.__main__ import PAGE, RESULTS
from tests.figures.figure import Measured
from tests.figures.measures import FIGURES
from tests.figures.measures.total_loss import measured
from tests.figures.record import RawFile, Record
from tests.figures.report import (
    Entry,
    document,
    read_entries,
    share,
    text_table,
    write_entries,
)
from tests.figures.suites import node_of, outcomes, rows_held

CONDITIONS = dict.fromkeys(
    ("date", "cores", "cpu", "other_work", "linux", "python", "valkey", "redis", "postgresql"), "?"
)
CONDITIONS |= {"gateway": "0", "seed": "7"}
ENTRY = Entry(
    2,
    5,
    Measured("1 lost", is_met=False, counts={"calls": 1234}, faults=("req_1 is gone",)),
    3.0,
    RawFile("some.jsonl.gz", 9, "ab"),
    CONDITIONS,
)


def test_the_ten_are_there() -> None:
    assert list(FIGURES) == list(range(1, 11))
    assert all(figure.short <= figure.full for figure in FIGURES.values())


def test_the_page_is_what_was_measured() -> None:
    entries = read_entries(RESULTS)
    assert list(entries) == list(FIGURES)
    assert PAGE.read_text() == document(FIGURES, entries)


def test_what_falls_short_stands_in_the_table_and_in_words() -> None:
    page = document(FIGURES, {2: ENTRY})
    assert "| 1 lost | 5 of 100 kills | **no** |" in page
    assert "- Counts: calls 1,234." in page
    assert "- Wrong: req_1 is gone." in page
    assert text_table(FIGURES, [ENTRY]).endswith(" no")


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    assert read_entries(path) == {}
    write_entries(path, {2: ENTRY})
    assert read_entries(path) == {2: ENTRY}


@pytest.mark.parametrize(
    ("amount", "words"), [(30, "30 of 100 kills"), (100, "all: 100 kills"), (200, "all: 200 kills")]
)
def test_a_scaled_figure_says_how_much_the_target_asks(amount: int, words: str) -> None:
    assert share(FIGURES[2], amount) == words


def test_the_digest_is_that_of_the_lines(tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two"):
        record = Record(tmp_path / f"{name}.jsonl")
        record.rows([{"request_id": "req_1"}, {"request_id": name if name == "two" else "req_2"}])
        raw = record.finish()
        assert (raw.lines, raw.name) == (2, f"{name}.jsonl.gz")
        digests.add(raw.sha256)
    assert len(digests) == 2


def test_a_row_holds_only_where_every_case_ran_and_passed() -> None:
    passed = outcomes(
        "<testsuites><testsuite>"
        '<testcase classname="tests.web.test_a" name="test_good[1]"/>'
        '<testcase classname="tests.web.test_a" name="test_good[a[b]]"/>'
        '<testcase classname="tests.test_b.TestIt" name="test_in_a_class"/>'
        '<testcase classname="tests.web.test_a" name="test_bad[1]"/>'
        '<testcase classname="tests.web.test_a" name="test_bad[2]"><failure/></testcase>'
        '<testcase classname="tests.web.test_a" name="test_left_out"><skipped/></testcase>'
        "</testsuite></testsuites>"
    )
    rows = {
        name: (f"web/test_a.py::test_{name}",) for name in ("good", "bad", "left_out", "not_there")
    }
    rows["in a class"] = ("test_b.py::test_in_a_class",)
    assert rows_held(rows, passed) == ["good", "in a class"]


def test_a_test_is_found_in_its_class() -> None:
    name = "test_an_answer_names_its_request_and_its_cost"
    assert node_of(f"web/test_gateway.py::{name}").endswith(f".py::TestAnswers::{name}")
    assert node_of("test_docs.py::test_any") == "tests/test_docs.py::test_any"


def test_a_figure_that_is_measured_again_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write_entries(path, {2: ENTRY})
    write_entries(path, read_entries(path) | {2: replace(ENTRY, amount=100)})
    assert read_entries(path)[2].amount == 100


def loss(seconds: float, differences: int, **answers: int) -> Loss:
    told = {int(status[1:]): count for status, count in answers.items()}
    return Loss(100, 1000, told, seconds, 0.0, 0.0, steps={}, differences=differences)


@pytest.mark.parametrize(
    ("losses", "is_met"),
    [
        ([loss(1.0, 0, _200=9, _503=2)], True),
        ([loss(1.0, 0, _200=9), loss(5.5, 0, _200=9)], False),
        ([loss(1.0, 1, _200=9)], False),
        ([loss(1.0, 0, _200=9, _401=1)], False),
    ],
    ids=["good", "slow once", "a counter differs", "401"],
)
def test_the_worst_loss_decides(losses: list[Loss], *, is_met: bool) -> None:
    assert measured({"SQLite": losses}).is_met is is_met
