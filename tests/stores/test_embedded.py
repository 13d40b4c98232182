"""Paths, secrets and the command of the embedded stores, with the real Valkey."""

import multiprocessing
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy.engine import make_url

from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores import embedded
from ai_gateway.stores.embedded import EmbeddedStoreError
from tests.tools import program

PROJECT = Path(__file__).resolve().parents[2]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def far_folder(tmp_path: Path) -> Iterator[Path]:
    """A data folder whose socket would have too long a path."""
    folder = tmp_path / ("far" * 30)
    socket_folder = embedded.socket_path(folder).parent
    yield folder
    if socket_folder.exists():
        socket_folder.rmdir()


def test_socket_lies_in_the_data_folder() -> None:
    assert embedded.socket_path(Path("/data")) == Path("/data/run/valkey.sock")


@pytest.mark.parametrize(("length", "is_inside"), [(100, True), (101, False)])
def test_socket_path_has_at_most_a_hundred_bytes(length: int, *, is_inside: bool) -> None:
    data_dir = Path("/" + "x" * (length - len("//run/valkey.sock")))
    path = embedded.socket_path(data_dir)
    assert path.is_relative_to(data_dir) == is_inside
    assert len(os.fsencode(path)) <= 100


def test_bytes_of_the_path_count_and_not_its_letters() -> None:
    data_dir = Path("/" + "ü" * 45)
    assert not embedded.socket_path(data_dir).is_relative_to(data_dir)


def test_socket_of_a_far_folder_is_the_same_whatever_the_environment(
    far_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = embedded.socket_path(far_folder)
    monkeypatch.setenv("TMPDIR", str(far_folder))
    assert embedded.socket_path(far_folder) == before
    assert embedded.socket_path(far_folder.parent / ("near" * 30)) != before


def test_folders_are_for_this_user_alone(far_folder: Path) -> None:
    embedded.prepare_folders(far_folder)
    assert mode(far_folder) == 0o700
    assert mode(embedded.run_folder(far_folder)) == 0o700
    assert mode(embedded.socket_path(far_folder).parent) == 0o700


@pytest.mark.parametrize("permissions", [0o755, 0o770])
def test_socket_folder_that_others_can_enter_is_refused(far_folder: Path, permissions: int) -> None:
    socket_folder = embedded.socket_path(far_folder).parent
    socket_folder.mkdir()
    socket_folder.chmod(permissions)
    with pytest.raises(EmbeddedStoreError, match=f"{socket_folder} is not a folder of this user"):
        embedded.redis_url(far_folder)
    with pytest.raises(EmbeddedStoreError, match="remove it"):
        embedded.prepare_folders(far_folder)


def test_socket_folder_that_is_a_link_is_refused(far_folder: Path, tmp_path: Path) -> None:
    socket_folder = embedded.socket_path(far_folder).parent
    socket_folder.symlink_to(tmp_path)
    try:
        with pytest.raises(EmbeddedStoreError, match="is not a folder of this user alone"):
            embedded.socket_path(far_folder)
    finally:
        socket_folder.unlink()


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedStoreError, match=r"cannot be made .*AI_GATEWAY_DATA_DIR"):
        embedded.prepare_folders(tmp_path / "file" / "data")


@pytest.mark.parametrize("name", ["plain", "with space", "100%25", "a?b#c", "größe"])
def test_urls_lead_to_the_paths(tmp_path: Path, name: str) -> None:
    data_dir = tmp_path / name
    assert make_url(embedded.database_url(data_dir)).database == str(data_dir / "gateway.sqlite3")
    pool = redis.ConnectionPool.from_url(embedded.redis_url(data_dir))
    assert pool.connection_kwargs["path"] == str(embedded.socket_path(data_dir))


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    data_dir = tmp_path / "new"
    secret_key, key_pepper = embedded.ensure_secrets(data_dir)
    assert len(secret_key) == len(key_pepper) == 64
    assert secret_key != key_pepper
    assert embedded.ensure_secrets(data_dir) == (secret_key, key_pepper)
    assert embedded.ensure_secrets(tmp_path / "other") != (secret_key, key_pepper)


def test_secrets_are_readable_by_this_user_alone(tmp_path: Path) -> None:
    embedded.ensure_secrets(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]
    assert mode(tmp_path / "secrets.json") == 0o600


def test_processes_that_start_at_once_get_the_same_secrets(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        found = pool.map(embedded.ensure_secrets, [tmp_path] * 64, chunksize=1)
    assert len(set(found)) == 1


def test_secrets_that_a_crash_left_half_written_are_made_anew(tmp_path: Path) -> None:
    (tmp_path / "secrets.new").write_text('{"secret_key"')
    assert embedded.ensure_secrets(tmp_path) == embedded.ensure_secrets(tmp_path)


@pytest.mark.parametrize("permissions", [0o640, 0o604, 0o620])
def test_secrets_that_others_can_reach_are_refused(tmp_path: Path, permissions: int) -> None:
    embedded.ensure_secrets(tmp_path)
    (tmp_path / "secrets.json").chmod(permissions)
    with pytest.raises(EmbeddedStoreError, match="chmod 600"):
        embedded.ensure_secrets(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", '{"secret_key": "a"}', "ü"])
def test_damaged_secrets_are_told_and_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(EmbeddedStoreError, match="damaged"):
        embedded.ensure_secrets(tmp_path)
    assert file.read_text() == text


def binary_without_the_wheel(folder: Path) -> str:
    """Ask a Python that has no packages, with `folder` as its search path for programs."""
    script = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ai_gateway.stores import embedded
try:
    print(embedded.valkey_command(Path(sys.argv[2]))[0])
except embedded.EmbeddedStoreError as error:
    print(error)
"""
    command = [sys.executable, "-I", "-S", "-c", script, str(PROJECT), str(folder)]
    answer = subprocess.run(
        command, env={"PATH": str(folder)}, check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


@pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
def test_server_of_the_system_stands_in_for_the_wheel(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch(mode=0o755)
    assert binary_without_the_wheel(tmp_path) == str(tmp_path / name)


def test_machine_without_any_server_is_told(tmp_path: Path) -> None:
    answer = binary_without_the_wheel(tmp_path)
    assert answer.startswith("no Valkey for this machine: install valkey-server")


def test_disk_that_does_not_take_what_valkey_wrote_is_told(tmp_path: Path) -> None:
    embedded.write_to_disk(tmp_path)
    folder = tmp_path / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "gone.incr.aof").symlink_to(tmp_path / "nowhere")
    embedded.write_to_disk(tmp_path)
    (folder / "1.incr.aof").symlink_to("/dev/null")  # there is nothing to write of it
    with pytest.raises(GatewayUnavailable):
        embedded.write_to_disk(tmp_path)


class TestValkey:
    """The server that the command starts: the wheel's, or the system's in its place."""

    @pytest.fixture(params=["wheel", pytest.param("redis", marks=pytest.mark.redis)])
    def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator["redis.Redis"]:
        data_dir = tmp_path / "with space"
        embedded.prepare_folders(data_dir)
        command = embedded.valkey_command(data_dir)
        if request.param == "redis":
            command[0] = str(program("redis-server"))
        with subprocess.Popen(command) as server:
            with redis.Redis.from_url(embedded.redis_url(data_dir), decode_responses=True) as store:
                wait_for(store)
                yield store
            server.terminate()
            assert server.wait(20) == 0

    def test_listens_at_no_port(self, store: "redis.Redis") -> None:
        assert store.config_get("port") == {"port": "0"}

    def test_keeps_every_write_and_takes_no_more_than_its_share(self, store: "redis.Redis") -> None:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "no",
            "save": "",
            "maxmemory": str(512 * 1024 * 1024),
            "maxmemory-policy": "noeviction",
        }
        assert {name: store.config_get(name)[name] for name in wanted} == wanted

    def test_files_can_be_written_to_the_disk_beside_it(
        self, store: "redis.Redis", tmp_path: Path
    ) -> None:
        store.set("money", "nano-dollars")
        data_dir = tmp_path / "with space"
        (file,) = (data_dir / "valkey/appendonlydir").glob("*.incr.aof")
        assert b"nano-dollars" in file.read_bytes()
        embedded.write_to_disk(data_dir)

    def test_leaves_its_files_in_the_data_folder(
        self, store: "redis.Redis", tmp_path: Path
    ) -> None:
        store.set("a", "b")
        data_dir = tmp_path / "with space"
        assert list((data_dir / "valkey/appendonlydir").iterdir())
        assert mode(embedded.socket_path(data_dir)) == 0o700
        assert embedded.valkey_log_path(data_dir).exists()


def wait_for(store: "redis.Redis") -> None:
    give_up_at = time.monotonic() + 20
    while True:
        try:
            store.ping()
        except redis.ConnectionError:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
        else:
            return
