"""Calls that are not streamed: servers take turns, so that a busy machine is unfair to none."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import cpu, load
from bench.errors import BenchError
from bench.figures import Calls, Memory, cost, median_calls, times
from bench.progress import say
from bench.server import Server

MAIN_CONNECTIONS = 32
"""The load that all are compared under, ours without some of its parts too."""
WARM_UP_CALLS = 3000
"""Until what compiles itself while it runs has done so; the slow ones get less."""
MOST_CALLS = 100_000
ATTEMPTS = 3
TOLERATED_FAILURES = 0.05
"""On a crowded machine a server may run into a time limit of its own; that is counted and told."""


@dataclass(frozen=True, slots=True)
class Size:
    """How long to measure; in the end ours gets `drift_calls` more, if so many fit into the time.

    Before them it gets `settled_calls`, so that what it remembers of its last calls is full.
    """

    rounds: int
    seconds: float
    warm_up_seconds: float
    connections: Sequence[int]
    settled_calls: int
    drift_calls: int
    drift_seconds: float


@dataclass(slots=True)
class Watched:
    """A server, with its memory when it was warm and the calls since."""

    server: Server
    first_mb: Mapping[str, float]
    calls: int = 0

    def memory(self) -> Memory:
        now = self.server.processes.megabytes()
        return Memory(self.server.name, self.calls, self.first_mb, now)


class Calling:
    """Measures calls to servers that run."""

    def __init__(self, servers: Sequence[Server], size: Size) -> None:
        self._size = size
        self._watched = [Watched(server, _warmed_up(server, size)) for server in servers]
        self.rounds: list[Calls] = []

    def run(self, has_all_loads: Callable[[str], bool]) -> list[Calls]:
        """Measure; a server without all loads, by its name, has the main one alone."""
        steps = [
            (watched, connections)
            for _ in range(self._size.rounds)
            for connections in self._size.connections
            for watched in self._watched
            if connections == MAIN_CONNECTIONS or has_all_loads(watched.server.name)
        ]
        for number, (watched, connections) in enumerate(steps, start=1):
            name = watched.server.name
            say(f"calls {number}/{len(steps)}: {name}, connections: {connections}")
            self.rounds.append(self._measure(watched, connections))
        return median_calls(self.rounds)

    def drift(self, name: str) -> list[Memory]:
        """Give each server's memory, that of one after as many more calls as were asked for."""
        for watched in self._watched:
            if watched.server.name == name:
                deadline = time.monotonic() + self._size.drift_seconds
                self._call_on(watched, self._size.settled_calls, deadline)
                watched.first_mb, watched.calls = watched.server.processes.megabytes(), 0
                self._call_on(watched, self._size.drift_calls, deadline)
        return [watched.memory() for watched in self._watched]

    def _call_on(self, watched: Watched, calls: int, deadline: float) -> None:
        while (left := calls - watched.calls) > 0 and time.monotonic() < deadline:
            say(f"memory: {watched.server.name}, {watched.calls} of {watched.calls + left} calls")
            plan = _plan(watched.server, MAIN_CONNECTIONS, calls=left, seconds=20.0)
            watched.calls += len(load.run(plan).latencies_us)
        cpu.wait_until_quiet(watched.server.cpu_seconds)

    def _measure(self, watched: Watched, connections: int) -> Calls:
        server = watched.server
        # Opens the connections to the provider.
        load.run(_plan(server, connections, calls=2 * connections, seconds=1.0))
        plan = _plan(server, connections, calls=MOST_CALLS, seconds=self._size.seconds)
        spent, seen = _measured(server, plan)
        calls = len(seen.latencies_us)
        watched.calls += calls
        return Calls(
            server=server.name,
            connections=connections,
            calls=calls,
            failed=seen.failed,
            cpu_us=cost(spent, calls),
            calls_per_second=calls / seen.seconds,
            ms=times(seen.latencies_us),
        )


class Spent:
    """CPU time that a server takes for what is done in the block, and for what it does later on
    account of that: booking, tracing, logging.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.seconds: Mapping[str, float] = {}

    def __enter__(self) -> "Spent":
        self._before = self._server.processes.seconds()
        return self

    def __exit__(self, *failure: object) -> None:
        if not any(failure):
            cpu.wait_until_quiet(self._server.cpu_seconds)
            self.seconds = cpu.difference(self._before, self._server.processes.seconds())


def _warmed_up(server: Server, size: Size) -> Mapping[str, float]:
    """Let every part of the server have worked once, and give its memory then.

    The first calls may fail: each of many connections is opened at once.
    """
    load.run(_plan(server, max(size.connections), WARM_UP_CALLS, size.warm_up_seconds))
    cpu.wait_until_quiet(server.cpu_seconds)
    return server.processes.megabytes()


def _plan(server: Server, connections: int, calls: int, seconds: float) -> load.Plan:
    return load.Plan(server.port, server.call(), connections, calls, seconds)


def _measured(server: Server, plan: load.Plan) -> tuple[Mapping[str, float], load.Seen]:
    """Give CPU time and answers of a load; it is run anew where too much of it failed."""
    for _ in range(ATTEMPTS):
        with Spent(server) as spent:
            seen = load.run(plan)
        if seen.failed <= len(seen.latencies_us) * TOLERATED_FAILURES:
            return spent.seconds, seen
        say(f"{server.name}: {seen.failed} of {len(seen.latencies_us)} calls failed")
    raise BenchError(f"{server.name}: {seen.failed} calls failed: {seen.first_failure}")
