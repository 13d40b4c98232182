"""The life of the process."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.testing import RunningSimulator

ROOT = Path(__file__).parents[2]


@contextmanager
def started(*options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "simulator", *options]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly_even_with_a_stream_open(
    tmp_path: Path, number: signal.Signals
) -> None:
    port_file = tmp_path / "port"
    with started("--port-file", str(port_file)) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        port = int(port_file.read_text())
        assert line == f"simulator listening on http://127.0.0.1:{port}"
        assert [path.name for path in tmp_path.iterdir()] == ["port"]
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 401"
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def test_port_that_is_taken_is_one_clear_line(simulator_process: RunningSimulator) -> None:
    port = str(simulator_process.port)
    with started("--port", port) as process:
        out, err = process.communicate(timeout=10)
    reason = f"simulator: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert (process.returncode, out, err) == (1, "", reason)


def test_nothing_of_the_gateway_is_imported() -> None:
    sources = [path.read_text() for path in (ROOT / "simulator").glob("*.py")]
    assert sources
    assert not any("import ai_gateway" in text or "from ai_gateway" in text for text in sources)
