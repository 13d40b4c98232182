"""What is installed is what was chosen: every package pinned, with the hashes of its files."""

import re
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


@pytest.mark.parametrize("file", ["requirements-dev.txt", "requirements-supply.txt"])
def test_every_line_of_the_other_lists_is_pinned(file: str) -> None:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line and not line.startswith(("#", "-r "))]
    assert [line for line in named if not PIN.match(line)] == []


def test_no_index_is_named() -> None:
    for file in ROOT.glob("requirements*"):
        assert not re.search(r"https?://|--(extra-)?index", file.read_text(encoding="utf-8")), file
