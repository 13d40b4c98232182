"""compose.yaml as Compose reads it: variables filled in, YAML's anchors and merges followed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
FILE = PROJECT / "compose.yaml"
VARIABLE = re.compile(r"\$(?:\$|\{(\w+)(?::([?-])([^}]*))?\})")

NEEDED = {
    "SECRET_KEY": "4f6d2a9c81e35b70d1c2",
    "AI_GATEWAY_KEY_PEPPER": "90b1e7d5c3a8f2461e0f",
    "AI_GATEWAY_METRICS_TOKEN": "a-token-to-scrape",
    "POSTGRES_PASSWORD": "a-password",
    "GRAFANA_ADMIN_PASSWORD": "another-password",
}
"""What the file .env has to bring."""

Service = dict[str, Any]


class MissingVariableError(Exception):
    """A variable has no value that has to have one; Compose ends with the same words."""


def compose_variables() -> set[str]:
    """The names of the variables that have to be set, or may be, before Compose reads the file."""
    return {found[1] for found in VARIABLE.finditer(FILE.read_text()) if found[1]}


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())  # type: ignore[no-untyped-call]  # it ships no types


def read_services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services by name."""
    services = _filled_in(read_yaml(FILE)["services"], variables)
    assert isinstance(services, dict)
    return services


def _filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    """Values only, and after parsing, so that no variable can change the structure."""
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: _value(found, variables), value)
    if isinstance(value, dict):
        return {name: _filled_in(part, variables) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled_in(part, variables) for part in value]
    return value


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, sign, rest = found.groups()
    if name is None:
        return "$"
    value = variables.get(name, "")
    if sign == "?" and not value:
        raise MissingVariableError(f"required variable {name} is missing a value: {rest}")
    return value or (rest if sign == "-" else "")
