"""The load generator and both nginx, against one another; nothing of the gateway runs."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import nginx
from bench.errors import BenchError
from bench.gateway import REQUEST_BYTES, raw_request, request_body
from bench.load import Plan, run
from bench.processes import accepts, free_port, running


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nginx can still reach after it has dropped root; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def test_bodies_have_their_promised_size() -> None:
    assert len(nginx.canned_answer()) == nginx.ANSWER_BYTES
    assert len(request_body()) == REQUEST_BYTES
    assert json.loads(nginx.canned_answer())["usage"]["total_tokens"] == 500


@pytest.mark.nginx
@pytest.mark.parametrize("connections", [1, 8])
def test_calls_go_through_the_proxy_and_each_is_timed(folder: Path, connections: int) -> None:
    with (
        nginx.provider(folder / "provider") as upstream,
        nginx.pass_through(folder / "nginx", upstream) as (_, port),
    ):
        seen = run(Plan(port, raw_request(port, "key"), connections, calls=200, seconds=10))
        assert (len(seen.latencies_us), seen.failed) == (200, 0)
        assert seen.seconds > 0
    assert not accepts(port)


@pytest.mark.nginx
def test_an_answer_with_another_status_is_a_failed_call(folder: Path) -> None:
    with nginx.pass_through(folder / "nginx", free_port()) as (_, port):
        seen = run(Plan(port, raw_request(port, "key"), 1, calls=3, seconds=10))
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


def test_a_missing_nginx_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BenchError, match="Debian package nginx"):
        nginx.find_nginx()
