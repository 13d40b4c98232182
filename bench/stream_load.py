"""Reads streams, in a process of its own, so that its CPU time is not counted.

`python -m bench.stream_load` reads a plan as JSON from standard input and writes what it saw as
JSON to standard output. Each stream has a connection of its own, whose end is the stream's.
"""

import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.errors import BenchError

SILENCE_SECONDS = 30
RECEIVE_BYTES = 65536
FIRST_EVENT, LAST_EVENT = b"data:", b"data: [DONE]"
TAIL_BYTES = 64
"""Of the end of a stream: its last event, and what little frames it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many streams at once; each that ends is followed by another, until `seconds` are over
    or there were `most`.
    """

    port: int
    request: str
    at_once: int
    most: int
    seconds: float


@dataclass(slots=True)
class Seen:
    """What came back: whole streams, and the time until each one's first event."""

    seconds: float = 0.0
    first_event_us: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Stream:
    """One stream as its client has it so far."""

    socket: socket.socket
    sent_at: int
    head: bytes = b""
    tail: bytes = b""
    first_event_at: int = 0

    def receive(self) -> bool:
        """Take what has come; False when that was the end of it."""
        try:
            data = self.socket.recv(RECEIVE_BYTES)
        except OSError as error:
            raise BenchError(f"a stream broke off: {error.strerror}") from error
        if not self.first_event_at:
            self.head += data
            if FIRST_EVENT in self.head:
                self.first_event_at = time.perf_counter_ns()
        self.tail = (self.tail + data)[-TAIL_BYTES:]
        return bool(data)

    def check_begun(self) -> None:
        """Raise `BenchError` unless it began as it should."""
        if not self.head.startswith(b"HTTP/1.1 200 ") or not self.first_event_at:
            lines = self.head.decode("latin-1").splitlines() or ["nothing"]
            raise BenchError(f"no stream but {lines[0]}, {lines[-1][:120]}")

    def check_whole(self) -> None:
        self.check_begun()
        if LAST_EVENT not in self.tail:
            raise BenchError(f"a stream broke off after {self.tail!r}")


def begin(port: int, request: bytes) -> Stream:
    made = socket.create_connection(("127.0.0.1", port), timeout=SILENCE_SECONDS)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = Stream(made, time.perf_counter_ns())
    made.sendall(request)
    return stream


def run(plan: Plan) -> Seen:
    """Run the plan in a child process; raises `BenchError` when that fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.stream_load"],
            cwd=Path(__file__).parent.parent,
            input=json.dumps(asdict(plan)),
            capture_output=True,
            text=True,
            check=False,
            timeout=plan.seconds + 10 * SILENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the streams did not end after {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise BenchError(done.stderr.strip().splitlines()[-1].partition("BenchError: ")[2])
    return Seen(**json.loads(done.stdout))


def drive(plan: Plan) -> Seen:
    streams: dict[int, Stream] = {}
    try:
        with select.epoll() as epoll:
            return _read_all(plan, epoll, streams)
    finally:
        for stream in streams.values():
            stream.socket.close()


def _read_all(plan: Plan, epoll: select.epoll, streams: dict[int, Stream]) -> Seen:
    request, seen = plan.request.encode("latin-1"), Seen()
    left = plan.most
    started = time.perf_counter_ns()
    deadline = started + int(plan.seconds * 1e9)

    def begin_another() -> None:
        nonlocal left
        left -= 1
        stream = begin(plan.port, request)
        streams[stream.socket.fileno()] = stream
        epoll.register(stream.socket.fileno(), select.EPOLLIN)

    for _ in range(min(plan.at_once, plan.most)):
        begin_another()
    while streams:
        ready = epoll.poll(SILENCE_SECONDS)
        if not ready:
            raise BenchError(f"streams without an event for {SILENCE_SECONDS} s")
        for number, _ in ready:
            stream = streams[number]
            if stream.receive():
                continue
            stream.check_whole()
            seen.first_event_us.append((stream.first_event_at - stream.sent_at) // 1000)
            epoll.unregister(number)
            streams.pop(number).socket.close()
            if left and time.perf_counter_ns() < deadline:
                begin_another()
    seen.seconds = (time.perf_counter_ns() - started) / 1e9
    return seen


if __name__ == "__main__":
    json.dump(asdict(drive(Plan(**json.load(sys.stdin)))), sys.stdout)
