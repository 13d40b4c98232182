"""The table of tools, and what is said of those that are missing."""

import subprocess
import sys
import tomllib
from dataclasses import replace

import pytest

from tests import tools
from tests.serve.gateway_process import PROJECT

ABSENT = tuple(replace(tool, is_found=lambda: False) for tool in tools.TOOLS)


def test_each_marker_of_the_project_has_a_tool() -> None:
    options = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["pytest"]
    declared = {line.split(":")[0] for line in options["ini_options"]["markers"]}
    assert {tool.marker for tool in tools.TOOLS} == declared - {"long"}


def test_missing_tools_are_named_with_the_one_command() -> None:
    *left_out, remedy = tools.summary_lines(ABSENT)
    assert len(left_out) == len(tools.TOOLS)
    for line, tool in zip(left_out, tools.TOOLS, strict=True):
        assert all(word in line for word in (tool.name, tool.marker, *tool.packages))
    assert remedy.startswith("To run them too")


def test_missing_tool_is_a_failure_only_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)
    assert tools.main("report", ABSENT) == 0
    monkeypatch.setenv("CI", "true")
    assert tools.main("report", ABSENT) == 1
    assert "Chromium" in capsys.readouterr().out


def test_packages_are_listed_before_anything_is_installed() -> None:
    command = [sys.executable, "-I", "-S", str(PROJECT / "tests/tools.py"), "packages"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {"redis-server", "chromium-headless-shell", "nginx"} <= set(answer.stdout.split())
