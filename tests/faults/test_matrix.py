"""The matrix is whole: every row is shown by something that is there, or says why it is not."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.faults.document import document
from tests.faults.matrix import Fault, faults
from tests.faults.scenarios import SCENARIOS

PROJECT = Path(__file__).resolve().parents[2]
NOT_TAKEN = {56}


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((PROJECT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_number_has_its_row() -> None:
    numbers = [int(fault.row.removeprefix("F")) for fault in faults()]
    assert numbers == [number for number in range(1, 61) if number not in NOT_TAKEN]


def is_shown(fault: Fault) -> bool:
    return fault.row in SCENARIOS or bool(fault.tests)


def test_every_row_is_shown_or_says_why_not() -> None:
    assert [row for row in faults() if not is_shown(row) and not row.remark] == []


def test_what_is_later_is_not_claimed() -> None:
    assert [row for row in faults() if row.is_later and is_shown(row)] == []


def test_scenarios_belong_to_rows() -> None:
    assert SCENARIOS.keys() <= {fault.row for fault in faults()}


def test_named_tests_are_there() -> None:
    named = [test.split("::") for fault in faults() for test in fault.tests]
    assert [test for path, test in named if test not in functions_in(path)] == []


def test_named_metrics_are_there() -> None:
    table = (PROJECT / "docs" / "metrics.md").read_text()
    named = {name for fault in faults() for name in re.findall(r"`(\w+)", fault.metric)}
    assert [name for name in sorted(named) if f"`ai_gateway_{name}`" not in table] == []


def test_page_is_the_matrix() -> None:
    assert (PROJECT / "docs" / "faults.md").read_text() == document()
