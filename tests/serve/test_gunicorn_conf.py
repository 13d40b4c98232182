"""Workers: their slots, their end, and what becomes of idle connections and of open streams."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serve.gateway_process import PROJECT, STANDIN, TWO_WORKERS, Gateway, wait_until

pytestmark = pytest.mark.long

STREAM = "GET /stream{} HTTP/1.1\r\nHost: x\r\n\r\n"
GRACE_SECONDS = 10
STREAMS_END_AFTER_SECONDS = 2


@pytest.fixture
def server(gateway: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    """Gunicorn without a supervisor, with a shorter grace and one worker."""
    with running_server(gateway, "--graceful-timeout", str(GRACE_SECONDS)) as process:
        yield process


@contextmanager
def running_server(gateway: Gateway, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gunicorn", "-c", str(PROJECT / "gunicorn.conf.py")]
    command += [*options, "app:app"]
    environment = {**gateway.environment, "STANDIN_NO_VALKEY": "1"}
    with (
        gateway.stderr.open("wb") as stderr,
        subprocess.Popen(command, cwd=STANDIN, env=environment, stderr=stderr) as process,
    ):
        try:
            wait_until(gateway.is_ready, "the worker answers")
            yield process
        finally:
            process.kill()
    wait_until(lambda: not has_worker(gateway), "the worker is gone")


def has_worker(gateway: Gateway) -> bool:
    try:
        gateway.get("/slot")
    except OSError:
        return False
    return True


def process_in(gateway: Gateway, slot: int) -> int:
    """The number of the process that answers from a slot."""
    found: dict[int, int] = {}

    def answers() -> bool:
        found.update(gateway.slots())
        return slot in found

    wait_until(answers, f"slot {slot} answers")
    return found[slot]


def open_connection(gateway: Gateway, request: str = "") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=30)
    connection.sendall(request.encode())
    return connection


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def stop(server: subprocess.Popen[bytes]) -> float:
    """Ask gunicorn to stop, wait for its end, and return the seconds that it took."""
    asked_at = time.monotonic()
    server.terminate()
    assert server.wait(30) == 0
    return time.monotonic() - asked_at


def kill_worker(gateway: Gateway, slot: int) -> None:
    """Kill the worker of a slot and wait until a new one answers from there."""
    killed = process_in(gateway, slot)
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: gateway.slots().get(slot, killed) != killed, f"slot {slot} answers again")


def test_new_worker_takes_the_slot_of_the_one_that_died(gateway: Gateway) -> None:
    gateway.start(TWO_WORKERS)
    other = gateway.answering(2)[1]
    kill_worker(gateway, 0)
    assert process_in(gateway, 1) == other
    kill_worker(gateway, 1)
    assert set(gateway.answering(2)) == {0, 1}


def test_folder_of_metrics_does_not_grow_when_workers_die(gateway: Gateway) -> None:
    gateway.start()
    metrics = gateway.data_dir / "metrics"
    for _ in range(20):
        kill_worker(gateway, 0)
    assert [file.name for file in metrics.iterdir()] == ["gauge_livesum_0.db"]


def test_metrics_of_an_earlier_life_are_removed_and_nothing_else(gateway: Gateway) -> None:
    metrics = gateway.data_dir / "metrics"
    metrics.mkdir(parents=True)
    (metrics / "counter_7.db").touch()
    (metrics / "note.txt").touch()
    gateway.start()
    assert not (metrics / "counter_7.db").exists()
    assert (metrics / "note.txt").exists()


def test_idle_connections_do_not_delay_the_stop(
    gateway: Gateway, server: subprocess.Popen[bytes]
) -> None:
    silent = open_connection(gateway)
    kept_alive = open_connection(gateway, "GET /slot HTTP/1.1\r\nHost: x\r\n\r\n")
    with silent, kept_alive:
        assert b"200 OK" in kept_alive.recv(4096)
        assert stop(server) < 5
        assert silent.recv(1) == b""
    assert gateway.said() == []


def test_connection_is_hung_up_when_no_whole_request_comes(gateway: Gateway) -> None:
    stream = STREAM.format("?chunks=40")  # for two seconds
    with (
        running_server(gateway, "--keep-alive", "1"),
        open_connection(gateway) as silent,
        open_connection(gateway, "GET /slot HTTP/1.1\r\nHost:") as broken_off,
        open_connection(gateway, "GET /slot HTTP/1.1\r\nHost: x\r\n\r\n") as kept_alive,
        open_connection(gateway, stream) as streaming,
    ):
        assert read_all(silent) == read_all(broken_off) == b""
        assert b"200 OK" in read_all(kept_alive)
        assert read_all(streaming).endswith(b"last\n\r\n0\r\n\r\n")
    assert gateway.said() == []


def test_open_stream_is_ended_before_the_grace_is_over(
    gateway: Gateway, server: subprocess.Popen[bytes]
) -> None:
    with open_connection(gateway, STREAM.format("")) as connection:
        assert b"200 OK" in connection.recv(4096)
        seconds = stop(server)
        received = read_all(connection)
    assert STREAMS_END_AFTER_SECONDS <= seconds < GRACE_SECONDS
    assert received.endswith(b"chunk\n\r\n0\r\n\r\n")
    assert gateway.said() == []


def test_stream_whose_end_comes_in_time_is_left_alone(
    gateway: Gateway, server: subprocess.Popen[bytes]
) -> None:
    with open_connection(gateway, STREAM.format("?chunks=30")) as connection:
        assert b"200 OK" in connection.recv(4096)
        server.terminate()
        received = read_all(connection)
    assert received.endswith(b"last\n\r\n0\r\n\r\n")
    assert server.wait(30) == 0


def test_application_settles_once_more_when_a_worker_ends(
    gateway: Gateway, server: subprocess.Popen[bytes]
) -> None:
    worker = int(gateway.get("/slot").split()[1])
    stop(server)
    assert gateway.notes() == [f"streams ended {worker}"]


SIGNALLED_AT_ITS_FORK = f"""
import os, runpy, signal, sys
globals().update(runpy.run_path("{PROJECT / "gunicorn.conf.py"}"))
theirs = post_fork

def post_fork(server, worker):
    is_before = os.environ["STANDIN_SIGNALLED"] == "before"
    for hook in (end, theirs) if is_before else (theirs, end):
        hook(server, worker)

def end(server, worker):
    os.kill(os.getpid(), signal.SIGTERM)
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_worker_that_shall_stop_before_it_has_begun_does_so(
    gateway: Gateway, tmp_path: Path, moment: str
) -> None:
    """Before our hook or after it; both are before gunicorn gives a worker handlers of its own."""
    config = tmp_path / "signalled.conf.py"
    config.write_text(SIGNALLED_AT_ITS_FORK)
    command = [sys.executable, "-m", "gunicorn", "-c", str(config), "app:app"]
    environment = {**gateway.environment, "STANDIN_SIGNALLED": moment}
    with (
        gateway.stderr.open("wb") as stderr,
        subprocess.Popen(command, cwd=STANDIN, env=environment, stderr=stderr) as process,
    ):
        try:
            wait_until(gateway.notes, "a worker has ended as one that was asked to")
        finally:
            process.kill()
    assert gateway.notes()[0].startswith("streams ended ")


def test_wrong_setting_ends_gunicorn_with_one_line(gateway: Gateway) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", str(PROJECT / "gunicorn.conf.py"), "app:app"]
    environment = {**gateway.environment, "PORT": "many"}
    ended = subprocess.run(
        command, cwd=STANDIN, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr == "ai-gateway: PORT='many' is wrong: use a whole number, 1 to 65535\n"


def test_application_that_cannot_be_loaded_ends_gunicorn(gateway: Gateway) -> None:
    command = [sys.executable, "-m", "gunicorn", "-c", str(PROJECT / "gunicorn.conf.py"), "app:app"]
    environment = {**gateway.environment, "STANDIN_WORKER_FAILS": "1"}
    ended = subprocess.run(
        command, cwd=STANDIN, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("ai-gateway: the worker says why\n")
