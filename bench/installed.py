"""What the bench installs for itself: once, below a folder that git does not see."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError
from bench.processes import clean_environment
from bench.progress import say

CACHE = Path(__file__).parent.parent / ".bench"
WAY_OUT = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
)
"""What an installer may need to know of its network, beside its user's own configuration."""


def python_packages(name: str, wanted: Path) -> Path:
    """Give the folder of programs of an environment that has what the list `wanted` names.

    It is one of the Python that runs the bench, so that all in Python are served by the same.
    """
    folder = CACHE / f"{name}-{_interpreter()}"
    if not _is_current(folder, wanted):
        say(f"installing {name} from PyPI into {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        # Not every Python can put pip into its environments.
        _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        # A package that is only unpacked runs nothing of its own here.
        options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        _run([*pip, "install", *options, "-r", str(wanted)])
        _keep(folder, wanted)
    return folder / "bin"


def _interpreter() -> str:
    """Tell two builds of one version apart."""
    return hashlib.sha256(f"{sys.base_prefix} {sys.version}".encode()).hexdigest()[:8]


def node_packages(name: str, wanted: Path) -> Path:
    """Give the folder of modules that has what `package.json` and its lock in `wanted` name."""
    folder, lock = CACHE / name, wanted / "package-lock.json"
    if not _is_current(folder, lock):
        if shutil.which("npm") is None:
            raise BenchError("npm is missing: install Node.js")
        say(f"installing {name} from npm into {folder}")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in (wanted / "package.json", lock):
            shutil.copy(file, folder)
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)])
        _keep(folder, lock)
    return folder / "node_modules"


def _is_current(folder: Path, wanted: Path) -> bool:
    installed = folder / "installed"
    return installed.exists() and installed.read_bytes() == wanted.read_bytes()


def _keep(folder: Path, wanted: Path) -> None:
    (folder / "installed").write_bytes(wanted.read_bytes())


def _run(command: Sequence[str]) -> None:
    """Run an installer without the variables of whoever runs the bench: there may be secrets."""
    known = {name: value for name, value in os.environ.items() if name.upper() in WAY_OUT}
    env = clean_environment(Path.home(), **known)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = " ".join(done.stderr.split())[-300:] or "it said nothing"
        raise BenchError(f"{Path(command[0]).name} {' '.join(command[1:3])} ... failed: {last}")
