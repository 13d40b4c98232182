"""The load generator: a process of its own, so that its CPU time is not counted.

`python -m bench.load` reads a plan as JSON from standard input and writes what it saw as JSON to
standard output. Each connection sends its next call when the answer to the last one is complete.
"""

import json
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.answers import read_answer
from bench.errors import BenchError

SILENCE_SECONDS = 20
RECEIVE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send where; it ends at `calls` or after `seconds`, whichever comes first."""

    port: int
    request: str
    connections: int
    calls: int
    seconds: float


@dataclass(slots=True)
class Seen:
    """What came back. Failed calls are those with another status than 200."""

    seconds: float = 0.0
    failed: int = 0
    first_failure: str = ""
    latencies_us: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    sent_at: int = 0
    received: bytearray = field(default_factory=bytearray)


def run(plan: Plan) -> Seen:
    """Run the plan in a child process; raises `BenchError` when that fails."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            cwd=Path(__file__).parent.parent,
            input=json.dumps(asdict(plan)),
            capture_output=True,
            text=True,
            check=False,
            timeout=plan.seconds + 2 * SILENCE_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the load did not end after {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise BenchError(f"the load generator failed: {done.stderr.strip().splitlines()[-1:]}")
    return Seen(**json.loads(done.stdout))


def drive(plan: Plan) -> Seen:
    """Send the calls of the plan over kept connections and time each of them."""
    request, seen = plan.request.encode("latin-1"), Seen()
    epoll, open_connections = select.epoll(), {}
    for _ in range(plan.connections):
        made = socket.create_connection(("127.0.0.1", plan.port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_connections[made.fileno()] = _Connection(made)
        epoll.register(made.fileno(), select.EPOLLIN)
    started = time.perf_counter_ns()
    deadline = started + int(plan.seconds * 1e9)
    to_send = plan.calls
    for connection in open_connections.values():
        to_send -= 1
        _send(connection, request)
    while open_connections:
        ready = epoll.poll(SILENCE_SECONDS)
        if not ready:
            raise BenchError(f"no answer for {SILENCE_SECONDS} s")
        for number, _ in ready:
            connection = open_connections[number]
            if not _received_all(connection, seen):
                continue
            if to_send > 0 and time.perf_counter_ns() < deadline:
                to_send -= 1
                _send(connection, request)
            else:
                epoll.unregister(number)
                open_connections.pop(number).socket.close()
    seen.seconds = (time.perf_counter_ns() - started) / 1e9
    epoll.close()
    return seen


def _send(connection: _Connection, request: bytes) -> None:
    connection.sent_at = time.perf_counter_ns()
    connection.socket.sendall(request)


def _received_all(connection: _Connection, seen: Seen) -> bool:
    data = connection.socket.recv(RECEIVE_BYTES)
    if not data:
        raise BenchError("the server closed a connection that was to be kept")
    connection.received += data
    answer = read_answer(connection.received)
    if answer is None:
        return False
    seen.latencies_us.append((time.perf_counter_ns() - connection.sent_at) // 1000)
    if answer.status != 200:
        seen.failed += 1
        seen.first_failure = seen.first_failure or connection.received[:500].decode("latin-1")
    del connection.received[: answer.size]
    return True


if __name__ == "__main__":
    json.dump(asdict(drive(Plan(**json.load(sys.stdin)))), sys.stdout)
