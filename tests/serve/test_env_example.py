"""`.env.example` names every setting of the operator and of compose.yaml, and nothing else."""

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from dotenv import dotenv_values

from ai_gateway.settings import OWN_VARIABLES, read_settings
from tests.deploy.compose import compose_variables

EXAMPLE = (Path(__file__).resolve().parents[2] / ".env.example").read_text()
SET_BY_THE_GATEWAY = {
    "AI_GATEWAY_WORKER_SLOT",
    "AI_GATEWAY_STARTED_AT",
    "PROMETHEUS_MULTIPROC_DIR",
}


class ReadNames(Mapping[str, str]):
    """An empty environment that remembers what was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def examples() -> dict[str, str]:
    uncommented = re.sub(r"^#(?=[A-Z])", "", EXAMPLE, flags=re.MULTILINE)
    return {
        name: value or "" for name, value in dotenv_values(stream=io.StringIO(uncommented)).items()
    }


def key_files() -> set[str]:
    """Said once for all: each key of a provider may stand in a file."""
    return {f"{name}_FILE" for name in examples() if name.endswith("_API_KEY")} - {
        "LANGSMITH_API_KEY_FILE"
    }


def test_names_are_those_that_are_read() -> None:
    env = ReadNames()
    read_settings(env)
    assert set(examples()) | key_files() == (env.names | compose_variables()) - SET_BY_THE_GATEWAY
    assert env.names >= OWN_VARIABLES


def test_values_are_the_defaults() -> None:
    values = {name: value for name, value in examples().items() if value}
    assert asdict(read_settings(values)) == asdict(read_settings({}))


def test_nothing_is_set() -> None:
    assert dotenv_values(stream=io.StringIO(EXAMPLE)) == {}


def test_each_setting_is_explained_in_one_line() -> None:
    lines = EXAMPLE.splitlines()
    for number, line in enumerate(lines):
        if re.match("#[A-Z]", line):
            assert lines[number - 1].startswith("# "), line
            assert not lines[number - 2].startswith("# "), line
