"""The chart of a run, drawn by matplotlib in an environment of its own."""

import subprocess
from pathlib import Path

from bench.errors import BenchError
from bench.installed import python_packages
from bench.processes import clean_environment

REQUIREMENTS = Path(__file__).with_name("chart.txt")
SCRIPT = Path(__file__).with_name("inside") / "draw_chart.py"


def draw(results: Path, chart: Path) -> None:
    """Draw what the JSON of a run says; raises `BenchError` when that fails."""
    programs = python_packages("matplotlib", REQUIREMENTS)
    command = [str(programs / "python"), str(SCRIPT), str(results), str(chart)]
    env = clean_environment(programs)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the chart was not drawn: {done.stderr.strip()[-300:]}")
