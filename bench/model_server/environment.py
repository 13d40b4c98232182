"""The model server's own virtual environment, made when it is first needed."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
INSIDE = Path(__file__).with_name("inside")
"""Scripts that run in that environment; the rest of the bench runs in ours."""


def ready_environment(folder: Path) -> Path:
    """Give the folder of its programs, after installing what `requirements.txt` names now."""
    programs, installed = folder / "bin", folder / "installed.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if not installed.exists() or installed.read_text(encoding="utf-8") != wanted:
        print(f"Installing the model server into {folder} (about 1.2 GB) ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(programs / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        run([*pip, "--quiet", "-r", str(REQUIREMENTS)])
        installed.write_text(wanted, encoding="utf-8")
    return programs


def run(command: Sequence[str], text: str | None = None) -> str:
    """Run a program to its end, with `text` as its input, and give what it printed."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BenchError(f"{' '.join(command[:4])} ... failed: {last}")
    return done.stdout
