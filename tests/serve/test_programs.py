"""What the programs of a gateway are given."""

from pathlib import Path

import pytest

from ai_gateway.serve.programs import Programs
from ai_gateway.settings import read_settings


def test_programs_are_told_of_relative_paths_as_absolute_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gateway.toml").touch()
    settings = read_settings({"AI_GATEWAY_CONFIG": "gateway.toml", "AI_GATEWAY_DATA_DIR": "data"})
    environment = Programs(settings, Path("/project")).bookkeeper(None).environment
    assert environment["AI_GATEWAY_CONFIG"] == str(tmp_path / "gateway.toml")
    assert environment["AI_GATEWAY_DATA_DIR"] == str(tmp_path / "data")
