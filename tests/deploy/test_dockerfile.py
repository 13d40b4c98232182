"""The Dockerfile and what its steps make, done by hand: files, labels, rights."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.by_hand import PROJECT, Image, image_by_hand, run_with_installed_packages
from tests.deploy.compose import FILE, read_yaml
from tests.deploy.dockerfile import context_files, read_stages

VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with image_by_hand(run_with_installed_packages) as made:
        yield made


def run(image: Image, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        image.as_its_user(list(command)),
        cwd=image.folder,
        env=image.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_private_and_nothing_made_goes_to_the_builder() -> None:
    tops = {path.parts[0] for path in context_files(PROJECT)}
    assert tops == {
        "requirements.lock",
        "app.py",
        "gunicorn.conf.py",
        "LICENSE",
        "THIRD_PARTY_NOTICES.md",
        "ai_gateway",
        "migrations",
        "templates",
    }
    assert not [path for path in context_files(PROJECT) if path.suffix == ".pyc"]


def test_every_file_of_the_package_is_in_the_image(image: Image) -> None:
    for name in ("ai_gateway", "migrations", "templates"):
        there = [path for path in (PROJECT / name).rglob("*") if path.is_file()]
        kept = [path for path in there if "__pycache__" not in path.parts]
        assert kept
        for path in kept:
            assert (image.folder / path.relative_to(PROJECT)).is_file(), path


def test_everybody_can_read_the_application_and_nobody_can_write_there(image: Image) -> None:
    for path in [image.folder, *image.folder.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o555 if path.is_dir() or mode & 0o100 else 0o444), path


def test_the_application_is_imported_from_the_image_alone(image: Image) -> None:
    variables = "import ai_gateway, sys; print(ai_gateway.__path__[0], sys.path[0])"
    done = run(image, "python", "-c", f"import ai_gateway.factory; {variables}")
    assert done.stdout.split() == [str(image.folder / "ai_gateway")], done.stderr


def test_its_user_is_a_number_above_those_of_the_system(image: Image) -> None:
    user, group = image.stage.last("USER").split(":")
    assert int(user) == int(group) >= 10_000


def test_its_user_can_write_to_the_data_folder_and_not_beside_the_application(image: Image) -> None:
    assert run(image, "touch", image.below("/data/file")).returncode == 0
    for place in ("/app/file", "/app/ai_gateway/file", "/app/app.py"):
        assert "denied" in run(image, "touch", image.below(place)).stderr


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL"])
def test_without_stores_it_says_what_is_missing(image: Image, missing: str) -> None:
    given = {"DATABASE_URL": "sqlite://", "REDIS_URL": "redis://127.0.0.1:1"} | {missing: ""}
    done = subprocess.run(
        image.as_its_user(image.stage.command),
        cwd=image.folder,
        env=image.environment | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert f"{missing}: is needed: a container brings no" in done.stderr


def test_the_health_check_fails_where_nothing_answers(image: Image) -> None:
    environment = image.environment | {"PORT": "1"}
    done = subprocess.run(
        image.stage.health_check, env=environment, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert b"ConnectionRefusedError" in done.stderr


def test_the_image_has_the_version_of_the_project(image: Image) -> None:
    assert f'image.version="{VERSION}"' in image.stage.last("LABEL")
    assert read_yaml(FILE)["services"]["gateway"]["image"] == f"ai-gateway:{VERSION}"


def test_packages_are_installed_in_a_stage_that_is_thrown_away() -> None:
    build, image = read_stages((PROJECT / "Dockerfile").read_text())
    assert "--only-binary=:all:" in " ".join(build.texts("RUN"))
    assert "install" not in " ".join(image.texts("RUN"))
    assert image.last("STOPSIGNAL") == "SIGTERM"


def test_an_unknown_step_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ONBUILD"):
        read_stages("FROM scratch\nONBUILD RUN true\n")
