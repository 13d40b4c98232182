"""Runs tests of `make test` by name and tells which of them passed, by pytest's own report."""

import ast
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.running import PROJECT

NOT_PASSED = {"failure", "error", "skipped"}
RAN = {0, 1}
"""Exit statuses of pytest: all passed, or some did not; with any other nothing can be said."""


def run_tests(names: Iterable[str]) -> dict[str, bool]:
    """Run tests, each as `file::function` below `tests/`; all cases of one have to pass."""
    chosen = sorted(set(names))
    with tempfile.TemporaryDirectory(prefix="figures") as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"]
        command += ["--junitxml", str(report), *map(node_of, chosen)]
        done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
        if done.returncode not in RAN:
            raise ChildProcessError(done.stderr[-500:] or done.stdout[-500:])
        passed = outcomes(report.read_text())
    # What did not run at all did not pass.
    return {name: passed.get(name, False) for name in chosen}


def node_of(name: str) -> str:
    """How pytest calls a test, which may stand in a class."""
    file, _, function = name.partition("::")
    path = Path("tests") / file
    for node in ast.parse((PROJECT / path).read_text()).body:
        if isinstance(node, ast.ClassDef) and f"def {function}(" in ast.unparse(node):
            return f"{path}::{node.name}::{function}"
    return f"{path}::{function}"


def outcomes(report: str) -> dict[str, bool]:
    """Whether every case of each test passed; one that was left out did not."""
    found: dict[str, bool] = {}
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - pytest wrote it
        function = re.sub(r"\[.*", "", case.get("name", ""), flags=re.DOTALL)
        name = f"{_file_of(case.get('classname', ''))}::{function}"
        has_passed = not any(child.tag in NOT_PASSED for child in case)
        found[name] = found.get(name, True) and has_passed
    return found


def _file_of(class_name: str) -> str:
    """`tests.web.test_gateway.TestAnswers` stands in web/test_gateway.py."""
    folders, _, rest = class_name.removeprefix("tests.").rpartition("test_")
    return f"{folders.replace('.', '/')}test_{rest.partition('.')[0]}.py"


def rows_held(rows: Mapping[str, Iterable[str]], passed: Mapping[str, bool]) -> list[str]:
    """The rows of which every test passed."""
    return [row for row, tests in rows.items() if all(passed.get(test, False) for test in tests)]
