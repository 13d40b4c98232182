"""Streams are read to their end, and what is none is told as such."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from bench.errors import BenchError
from bench.open_streams import OpenStreams
from bench.stream_load import Plan, drive

REQUEST = "GET / HTTP/1.1\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
WHOLE = (HEAD, b'data: {"n": 1}\n\nda', b"ta: [DONE]\n\n")
REFUSED = (b"HTTP/1.1 500 Oh\r\n\r\n", b'{"message": "no"}')


@contextmanager
def serving(pieces: Sequence[bytes], *, ends: bool = True) -> Iterator[int]:
    """Answer each connection with the pieces, and close it if the stream ends."""
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                client.recv(4096)
                for piece in pieces:
                    client.sendall(piece)
                kept.append(client)
                if ends:
                    client.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for client in kept:
                client.close()


def test_every_stream_is_read_to_its_end_and_its_first_event_is_timed() -> None:
    with serving(WHOLE) as port:
        seen = drive(Plan(port, REQUEST, at_once=2, most=5, seconds=30))
    assert len(seen.first_event_us) == 5
    assert seen.seconds * 1e6 > max(seen.first_event_us) > 0


def test_no_stream_begins_after_the_time_is_over() -> None:
    with serving(WHOLE) as port:
        assert len(drive(Plan(port, REQUEST, 2, most=5, seconds=0)).first_event_us) == 2


def test_an_error_instead_of_a_stream_is_told_with_its_status() -> None:
    with serving(REFUSED) as port, pytest.raises(BenchError, match=r"500 Oh.*no"):
        drive(Plan(port, REQUEST, 1, most=1, seconds=30))


def test_a_stream_without_its_last_event_has_broken_off() -> None:
    with serving(WHOLE[:2]) as port, pytest.raises(BenchError, match="broke off"):
        drive(Plan(port, REQUEST, 1, most=1, seconds=30))


def test_open_streams_have_begun_and_are_closed_in_the_end() -> None:
    with serving(WHOLE[:2], ends=False) as port:
        with OpenStreams(port, REQUEST) as streams:
            streams.open_until(3)
            streams.open_until(5)
            held = [stream.socket for stream in streams.held]
            assert len(held) == 5
            assert all(stream.first_event_at for stream in streams.held)
        assert {one.fileno() for one in held} == {-1}


def test_too_many_refused_streams_end_the_measurement() -> None:
    with (
        serving(REFUSED) as port,
        OpenStreams(port, REQUEST) as streams,
        pytest.raises(BenchError, match="ended before their time"),
    ):
        streams.open_until(1)
