"""Every point of acceptance is shown by tests that are there and are run, or says why not."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tests.acceptance import document, points

PROJECT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("skip", "xfail")


@cache
def run_in(path: str) -> frozenset[str]:
    """The tests of a file, by their names, without those that are always or sometimes left out."""
    tree = ast.parse((PROJECT / path).read_text())
    marks = [node for node in tree.body if isinstance(node, ast.Assign) and marks_all(node)]
    return frozenset() if is_left_out(marks) else frozenset(run_below(tree.body))


def marks_all(node: ast.Assign) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "pytestmark" for one in node.targets)


def run_below(body: Sequence[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not is_left_out(node.decorator_list):
            yield from (f"{node.name}::{name}" for name in run_below(node.body))
        elif isinstance(node, ast.FunctionDef) and not is_left_out([node]):
            yield node.name


def is_left_out(nodes: Sequence[ast.AST]) -> bool:
    """By a mark, or by a call in its body."""
    named = (one.attr for node in nodes for one in ast.walk(node) if isinstance(one, ast.Attribute))
    return any(name.startswith(LEFT_OUT) for name in named)


def test_the_numbers_are_whole() -> None:
    assert [point.number for point in points()] == list(range(1, 70))


def test_every_point_is_shown_or_says_why_not() -> None:
    assert [point for point in points() if not point.tests and not point.remark] == []


def test_every_named_test_is_there_and_is_run() -> None:
    named = {test.partition("::")[::2] for point in points() for test in point.tests}
    assert [f"{path}::{name}" for path, name in sorted(named) if name not in run_in(path)] == []


def test_a_test_that_is_left_out_is_found() -> None:
    source = """
import pytest

@pytest.mark.skipif(True, reason="")
def test_by_mark(): ...

def test_by_call():
    pytest.skip("")

class TestAll:
    def test_run(self): ...
"""
    assert list(run_below(ast.parse(source).body)) == ["TestAll::test_run"]


def test_the_page_is_written_from_the_points() -> None:
    assert (PROJECT / "docs" / "acceptance.md").read_text() == document()
