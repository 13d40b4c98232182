"""What is installed is what was chosen: every package pinned, with the hashes of its files."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==([\w.+!]+)", re.MULTILINE)


def pins(file: str) -> dict[str, str]:
    """Versions by the name of the package, as the index spells it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return {_normal(name): version for name, version in PIN.findall(text)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_has_what_was_chosen_and_what_that_brings_along() -> None:
    chosen, locked = pins("requirements.txt"), pins("requirements.lock")
    assert chosen.items() <= locked.items(), "run make lock"
    assert len(locked) > len(chosen)


def test_every_package_of_the_lock_has_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]
    assert [entry.split()[0] for entry in entries if not PIN.match(entry)] == []
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    "file", ["requirements-dev.txt", "requirements-supply.txt", "requirements-fuzz.txt"]
)
def test_every_line_of_the_other_lists_is_pinned(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert [line for line in named if not PIN.match(line)] == []


def test_no_index_is_named() -> None:
    for file in ROOT.glob("requirements*"):
        assert not re.search(r"https?://|--(extra-)?index", file.read_text(encoding="utf-8")), file


def made_wheel(folder: Path, content: str) -> Path:
    """A package of one module, as small as pip takes it."""
    wheel = folder / "swapped-1.0-py3-none-any.whl"
    info = "swapped-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as files:
        files.writestr("swapped.py", content)
        files.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: swapped\nVersion: 1.0\n")
        files.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        files.writestr(f"{info}/RECORD", "")
    return wheel


def how_we_install() -> list[str]:
    """The words of the recipe of `make run`, up to the list."""
    recipe = re.search(
        r"^\$\(VENV\)/\.installed:.*\n\t\$\(PIP\) (.+) -r requirements\.lock$",
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert recipe is not None
    return recipe[1].split()


def install(folder: Path, wheel: Path, sha256: str) -> "subprocess.CompletedProcess[str]":
    lock = folder / "requirements.lock"
    lock.write_text(f"swapped==1.0 --hash=sha256:{sha256}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-index"]
    places = ["--find-links", str(wheel.parent), "--target", str(folder / "site")]
    return subprocess.run(
        [*pip, *places, *how_we_install(), "-r", str(lock)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_whose_content_was_swapped_is_not_installed(tmp_path: Path) -> None:
    wheel = made_wheel(tmp_path, "GOOD = True")
    chosen = hashlib.sha256(wheel.read_bytes()).hexdigest()
    made_wheel(tmp_path, "GOOD = False")
    done = install(tmp_path, wheel, chosen)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert chosen in done.stderr
    assert not (tmp_path / "site").exists()
