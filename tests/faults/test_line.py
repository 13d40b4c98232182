"""The line does what it is ordered to, and nothing without an order."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.line import Faults, opened_line

WAIT_SECONDS = 10


@contextmanager
def echoing_by(faults: Faults) -> Iterator[socket.socket]:
    """A client whose words come back to it, by a line."""
    with (
        tempfile.TemporaryDirectory(prefix="fline") as name,
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        folder = Path(name)
        listener.bind(str(folder / "echo"))
        listener.listen()
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        with opened_line(folder / "line", folder / "echo", faults):
            client.settimeout(WAIT_SECONDS)
            client.connect(str(folder / "line"))
            yield client


def _echo(listener: socket.socket) -> None:
    with suppress(OSError):
        one, _ = listener.accept()
        with one:
            while words := one.recv(1024):
                one.sendall(words)


def read_to_the_end(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1024):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("faults", [Faults(), Faults(slice_bytes=2), Faults(delay_seconds=0.01)])
def test_all_bytes_pass(faults: Faults) -> None:
    with echoing_by(faults) as client:
        client.sendall(b"some words")
        received = b""
        while len(received) < len(b"some words"):
            received += client.recv(1024)
        assert received == b"some words"
        assert not faults.reached.is_set()


def test_it_breaks_off_at_a_byte() -> None:
    with echoing_by(Faults(reset_after_bytes=6)) as client:
        client.sendall(b"some words")
        assert read_to_the_end(client) == b"some w"


@pytest.mark.parametrize("side", ["request", "reply"])
def test_it_holds_what_it_shall(side: str) -> None:
    faults = Faults(hold_at=b"words", side="reply" if side == "reply" else "request")
    with echoing_by(faults) as client:
        client.sendall(b"some words")
        assert faults.reached.wait(WAIT_SECONDS)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1024)


def test_a_cut_loses_the_reply_and_the_connection() -> None:
    with echoing_by(Faults(hold_at=b"words", side="reply", cuts=True, times=1)) as client:
        client.sendall(b"some words")
        assert read_to_the_end(client) == b""
