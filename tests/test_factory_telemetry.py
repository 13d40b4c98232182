"""What an instance says of itself."""

from pathlib import Path

import pytest

from ai_gateway.factory.telemetry import UNKNOWN, revision

COMMIT = "4f6d2a9c81e35b70d1c24f6d2a9c81e35b70d1c2"


@pytest.fixture
def git(tmp_path: Path) -> Path:
    (tmp_path / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    return tmp_path


def test_revision_is_the_commit_of_the_branch(git: Path) -> None:
    (git / "refs" / "heads" / "main").write_text(f"{COMMIT}\n")
    assert revision(git) == "4f6d2a9c81e3"


def test_revision_is_found_where_branches_are_packed(git: Path) -> None:
    (git / "packed-refs").write_text(f"# pack-refs\n{'0' * 40} refs/heads/other\n")
    assert revision(git) == UNKNOWN
    (git / "packed-refs").write_text(f"# pack-refs\n{COMMIT} refs/heads/main\n")
    assert revision(git) == "4f6d2a9c81e3"


def test_revision_of_a_detached_head_is_that_commit(git: Path) -> None:
    (git / "HEAD").write_text(f"{COMMIT}\n")
    assert revision(git) == "4f6d2a9c81e3"


def test_revision_is_unknown_without_a_checkout(tmp_path: Path) -> None:
    assert revision(tmp_path / "none") == UNKNOWN
