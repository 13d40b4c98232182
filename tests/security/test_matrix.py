"""The matrix is whole, names only tests that there are, and is what the docs say."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.security.matrix import ATTACKS, PAGE, Attack, page

TESTS = Path(__file__).parents[1]
MERGED = {18, 50}


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def test_every_row_is_there_once_and_in_order() -> None:
    numbers = [int(attack.row.removeprefix("S")) for attack in ATTACKS]
    assert numbers == [number for number in range(1, 66) if number not in MERGED]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.row)
def test_a_row_is_shown_by_tests_that_there_are_or_says_why_not(attack: Attack) -> None:
    assert attack.tests or attack.remark
    for test in attack.tests:
        file, _, name = test.partition("::")
        assert name.startswith("test_")
        assert name in functions_of(TESTS / file), test


def test_the_page_of_the_docs_is_what_the_matrix_says() -> None:
    assert PAGE.read_text() == page()
