"""The load generator and both nginx, against one another; nothing of the gateway runs."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench import cpu, nginx, request
from bench.contestants import CONTESTANTS, NGINX, Contestant, started
from bench.errors import BenchError
from bench.installed import node_packages
from bench.load import Plan, run
from bench.processes import accepts, clean_environment, free_port, running
from bench.server import Server


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nginx can still reach after it has dropped root; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def call(port: int) -> str:
    return Server("any", cpu.Group(os.getpid()), port, {"Authorization": "Bearer key"}).call()


def test_bodies_have_their_promised_size() -> None:
    assert len(nginx.canned_answer()) == nginx.ANSWER_BYTES
    assert len(request.chat_body()) == request.REQUEST_BYTES
    assert json.loads(nginx.canned_answer())["usage"]["total_tokens"] == 500


@pytest.mark.nginx
@pytest.mark.parametrize("connections", [1, 8])
def test_calls_go_through_the_proxy_and_each_is_timed(folder: Path, connections: int) -> None:
    with (
        nginx.provider(folder / "provider") as upstream,
        nginx.pass_through(folder / "nginx", upstream) as (_, port),
    ):
        seen = run(Plan(port, call(port), connections, calls=200, seconds=10))
        assert (len(seen.latencies_us), seen.failed) == (200, 0)
        assert seen.seconds > 0
    assert not accepts(port)


@pytest.mark.nginx
def test_an_answer_with_another_status_is_a_failed_call(folder: Path) -> None:
    with nginx.pass_through(folder / "nginx", free_port()) as (_, port):
        seen = run(Plan(port, call(port), 1, calls=3, seconds=10))
    assert seen.failed == 3
    assert "502 Bad Gateway" in seen.first_failure


def test_a_load_on_a_closed_port_says_so() -> None:
    with pytest.raises(BenchError, match="refused"):
        run(Plan(free_port(), "GET / HTTP/1.1\r\n\r\n", 1, calls=1, seconds=1))


def test_a_server_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo no such setting"]
    with (
        pytest.raises(BenchError, match="no such setting"),
        running(command, tmp_path / "log", is_ready=lambda: False),
    ):
        pass


def test_a_server_gets_nothing_of_whoever_runs_the_bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert clean_environment(tmp_path, PORT="1") == {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PORT": "1",
    }


def test_a_server_has_a_process_group_of_its_own(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    command = ["sh", "-c", "touch ready; exec sleep 60"]
    with running(command, tmp_path / "log", is_ready=ready.exists) as pid:
        assert os.getpgid(pid) == pid


def test_a_peer_without_its_installer_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "package-lock.json").write_text("{}")
    with pytest.raises(BenchError, match="npm is missing"):
        node_packages("nothing-of-this-name", tmp_path)


@pytest.mark.nginx
def test_a_peer_that_does_not_start_is_left_out_with_its_reason(folder: Path) -> None:
    def broken(_folder: Path, _upstream: int) -> AbstractContextManager[Server]:
        raise BenchError("no such version")

    (plain, *_) = CONTESTANTS
    chosen = [plain, Contestant("Peer", "peer", broken, is_peer=True)]
    with started(chosen, free_port(), folder) as found:
        assert [server.name for server in found.servers] == [NGINX]
        assert found.left_out == {"Peer": "no such version"}


def test_a_missing_nginx_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BenchError, match="Debian package nginx"):
        nginx.find_nginx()
