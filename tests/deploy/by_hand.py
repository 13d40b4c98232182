"""The image made without a container engine: each step of the Dockerfile, done below a folder.

What it cannot show is the base image and the isolation of a container.
"""

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.dockerfile import Stage, context_files, read_stages

PROJECT = Path(__file__).resolve().parents[2]
OUR_FOLDERS = re.compile(r"(?<![\w./-])/(?=(?:opt|app|data|build)\b)")
BASE_PATH = f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"
"""The base image has a Python there, and none of our packages."""

RunStep = Callable[[str, Path, Mapping[str, str]], None]
"""Does one RUN: the shell's text, the folder that stands for the root, the environment."""


@dataclass(frozen=True, slots=True)
class Image:
    """What the steps made: `root` stands for the root folder of a container."""

    stage: Stage
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / self.stage.last("WORKDIR").lstrip("/")

    @property
    def environment(self) -> dict[str, str]:
        values = {name: self.below(text) for name, text in self.stage.environment.items()}
        return values | {"PATH": values.get("PATH", "$PATH").replace("$PATH", BASE_PATH)}

    def below(self, text: str) -> str:
        return _below(self.root, text)

    def as_its_user(self, command: list[str]) -> list[str]:
        """The command as the image's user, who has no rights but to read what root can read.

        That one is for the interpreter of a test machine, which may lie in root's own home. Who
        runs the tests without being root is a user without rights already.
        """
        if os.geteuid() != 0:
            return command
        user, _, group = self.stage.last("USER").partition(":")
        rights = [f"--{kind}=-all,+dac_read_search" for kind in ("inh-caps", "bounding-set")]
        rights.append("--ambient-caps=+dac_read_search")
        return [
            "setpriv",
            f"--reuid={user}",
            f"--regid={group}",
            "--clear-groups",
            *rights,
            *command,
        ]


@contextmanager
def image_by_hand(run: RunStep) -> Iterator[Image]:
    """Make the image from the project's files in an empty folder, which everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="agw-image"))
    folder.chmod(0o755)
    try:
        context = folder / "context"
        for file in context_files(PROJECT):
            (context / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / file, context / file)
        stages = read_stages((PROJECT / "Dockerfile").read_text())
        yield _built(stages, folder, run)
    finally:
        _make_writable(folder)
        shutil.rmtree(folder)


def run_in_shell(text: str, root: Path, environment: Mapping[str, str]) -> None:
    """Do a RUN as it stands, but for the folder that stands for the root."""
    command = ["sh", "-ec", _below(root, text)]
    subprocess.run(command, cwd=root, env=dict(environment), check=True)


def run_with_installed_packages(text: str, root: Path, environment: Mapping[str, str]) -> None:
    """Likewise, with the environment of the tests in the place of one that is installed anew."""
    if " install " in text:
        (root / "opt").mkdir()
        (root / "opt" / "venv").symlink_to(sys.prefix)
    else:
        run_in_shell(text, root, environment)


def _built(stages: list[Stage], folder: Path, run: RunStep) -> Image:
    """Make every stage at the same path, as a builder does: scripts name their interpreter."""
    root = folder / "root"
    for stage in stages:
        root.mkdir(mode=0o755)
        made = Image(stage, root)
        for step in stage.steps:
            if step.word == "COPY":
                _copy(step.text, folder)
            elif step.word == "RUN":
                run(step.text, root, made.environment)
        if stage is not stages[-1]:
            root.rename(folder / stage.name)
    return made


def _copy(text: str, folder: Path) -> None:
    words = shlex.split(text)
    origin = "context"
    if words[0].startswith("--from="):
        origin = words.pop(0).removeprefix("--from=")
    *sources, target = words
    for source in sources:
        found = folder / origin / source.lstrip("/")
        place = folder / "root" / target.lstrip("/")
        if found.is_dir() and not found.is_symlink():
            shutil.copytree(found, place, symlinks=True)
            continue
        place = place / found.name if target.endswith("/") else place
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(found, place, follow_symlinks=False)


def _below(root: Path, text: str) -> str:
    return OUR_FOLDERS.sub(f"{root}/", text)


def _make_writable(folder: Path) -> None:
    """So that it can be removed by others than root; links lead out and are let alone."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(Path(path).stat().st_mode | stat.S_IRWXU)
