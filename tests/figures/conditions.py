"""On what was measured: the machine and the versions of all that took part."""

import re
import subprocess
import tomllib
from pathlib import Path

from ai_gateway.stores import embedded
from bench.report import machine
from tests.running import PROJECT
from tests.tools import program


def conditions(seed: int, other_work: float) -> dict[str, str]:
    """Facts of this machine, without its name; `other_work` is a share, 0 to 1."""
    valkey, *_ = embedded.valkey_command(Path("unused"))
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    return {
        **machine(other_work),
        "valkey": _version(valkey),
        "redis": _version(program("redis-server")),
        "postgresql": _version(program("postgres")),
        "gateway": project["project"]["version"],
        "seed": str(seed),
    }


def _version(path: str | None) -> str:
    if path is None:
        return "none"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    return found[0] if found else said.strip()
