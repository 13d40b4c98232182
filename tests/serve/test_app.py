"""`app.py`, the way in: as a program, for the `flask` command, and on Pythons that are too old."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.gateway_process import PROJECT

TOO_NEW = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Match)
RUN = [sys.executable, "app.py"]
FLASK = [sys.executable, "-m", "flask", "--app", "app", "key", "list"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "PYTHON_DOTENV_DISABLED": "1",
        "AI_GATEWAY_DATA_DIR": str(tmp_path / "data"),
    }


def ended(command: list[str], environment: dict[str, str], folder: Path = PROJECT) -> str:
    """Run a command that has to end with code 2 and return its stderr."""
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("command", [RUN, FLASK], ids=["python app.py", "flask"])
def test_wrong_setting_is_told_in_one_line(command: list[str], environment: dict[str, str]) -> None:
    said = ended(command, environment | {"PORT": "many"})
    assert said == "ai-gateway: PORT='many' is wrong: use a whole number, 1 to 65535\n"


@pytest.mark.parametrize("command", [RUN, FLASK], ids=["python app.py", "flask"])
def test_unusable_data_folder_is_told_in_one_line(
    command: list[str], environment: dict[str, str]
) -> None:
    (line,) = ended(command, environment | {"AI_GATEWAY_DATA_DIR": "/dev/null/x"}).splitlines()
    assert line.startswith("ai-gateway: the folder /dev/null/x cannot be made")


def test_file_with_settings_is_read_and_the_environment_comes_first(
    environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copy(PROJECT / "app.py", tmp_path)
    (tmp_path / ".env").write_text("PORT=from-the-file\n")
    del environment["PYTHON_DOTENV_DISABLED"]
    assert "PORT='from-the-file'" in ended(RUN, environment, tmp_path)
    assert "PORT='no'" in ended(RUN, environment | {"PORT": "no"}, tmp_path)


def test_program_loads_no_application(environment: dict[str, str]) -> None:
    command = [sys.executable, "-X", "importtime", "app.py"]
    said = ended(command, environment | {"PORT": "many"})
    loaded = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "ai_gateway.serve" in loaded
    assert loaded.isdisjoint({"flask", "sqlalchemy", "redis", "gevent", "ai_gateway.factory"})


def test_old_pythons_can_read_it() -> None:
    nodes = list(ast.walk(ast.parse((PROJECT / "app.py").read_text())))
    assert not [node for node in nodes if isinstance(node, TOO_NEW)]
    assert not [node for node in nodes if isinstance(node, ast.Raise) and node.cause]


def test_missing_packages_are_told_in_one_line(environment: dict[str, str]) -> None:
    (line,) = ended([sys.executable, "-I", "-S", "app.py"], environment).splitlines()
    assert line.startswith("ai-gateway: packages are missing: ")
