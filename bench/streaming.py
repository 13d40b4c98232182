"""Streams from the simulator: the cost of an event, the first one's delay, memory while open."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import cpu, stream_load
from bench.calling import Spent
from bench.errors import BenchError
from bench.figures import (
    Events,
    FirstEvent,
    Held,
    cost,
    median_events,
    median_first_events,
    times,
)
from bench.gateway import ROOT
from bench.open_streams import OPENING_SECONDS, OpenStreams
from bench.processes import accepts, clean_environment, free_port, running
from bench.progress import say
from bench.server import Server

OPEN_MARKERS = "[[tokens=1000]] [[pace=60000]]"


@dataclass(frozen=True, slots=True)
class Load:
    """Streams as the markers say, `events` of content in each, so many at once."""

    name: str
    markers: str
    events: int
    at_once: int


ONE_BY_ONE = Load("one by one", "[[tokens=400]] [[pace=10]]", 400, 10)
IN_HEAPS = Load("as fast as they come", "[[tokens=200]]", 200, 32)
FIRST_ALONE = "[[tokens=3]]"


@dataclass(frozen=True, slots=True)
class Size:
    rounds: int
    seconds: float
    held: Sequence[int]
    first_events: int = 100


@contextmanager
def simulator(folder: Path) -> Iterator[int]:
    """Run the stand-in for the provider and give its port."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "simulator", "--port", str(port)]
    env = clean_environment(folder, PYTHONPATH=os.fspath(ROOT))
    with running(command, folder / "log", is_ready=lambda: accepts(port), env=env):
        yield port


class Streaming:
    """Measures streams of servers that run; what one cannot do is named in `not_measured`."""

    def __init__(self, servers: Sequence[Server], size: Size) -> None:
        self._size = size
        self.not_measured: dict[str, str] = {}
        self._servers = [server for server in servers if self._streams(server)]
        self.rounds: list[Events] = []

    def events(self) -> list[Events]:
        for number in range(1, self._size.rounds + 1):
            for load in (ONE_BY_ONE, IN_HEAPS):
                for server in self._servers:
                    say(f"streams {number}/{self._size.rounds}: {server.name}, {load.name}")
                    self.rounds.append(self._relayed(server, load))
        return median_events(self.rounds)

    def first_events(self) -> list[FirstEvent]:
        rounds = []
        for _ in range(self._size.rounds):
            for server in self._servers:
                say(f"first event: {server.name}")
                seen = stream_load.run(
                    _plan(server, FIRST_ALONE, most=self._size.first_events, seconds=60)
                )
                ms = times(seen.first_event_us)
                rounds.append(FirstEvent(server.name, len(seen.first_event_us), ms))
        return median_first_events(rounds)

    def held(self) -> list[Held]:
        found: list[Held] = []
        for server in self._servers:
            try:
                found.extend(self._held_by(server))
            except BenchError as error:
                say(f"{server.name}: {error}")
                self.not_measured[f"{server.name}: more open streams"] = str(error)
        return found

    def _held_by(self, server: Server) -> Iterator[Held]:
        cpu.wait_until_quiet(server.cpu_seconds)
        before = server.processes.megabytes()
        started = time.monotonic()
        with OpenStreams(server.port, server.stream(OPEN_MARKERS)) as streams:
            last = 0
            for count in self._size.held:
                lasted = time.monotonic() - started
                if last and lasted / last * count > OPENING_SECONDS:
                    self.not_measured[f"{server.name}: {count:,} open streams"] = (
                        f"{last:,} took {lasted:.0f} s to open"
                    )
                    return
                say(f"open streams: {server.name}, {count}")
                streams.open_until(count)
                more = cpu.difference(before, server.processes.megabytes())
                by_role = {role: megabytes * 1024 / count for role, megabytes in more.items()}
                yield Held(server.name, count, by_role, sum(by_role.values()))
                last = count

    def _relayed(self, server: Server, load: Load) -> Events:
        plan = _plan(server, load.markers, at_once=load.at_once, seconds=self._size.seconds)
        with Spent(server) as spent:
            seen = stream_load.run(plan)
        events = len(seen.first_event_us) * load.events
        return Events(
            server.name, load.name, events, cost(spent.seconds, events), events / seen.seconds
        )

    def _streams(self, server: Server) -> bool:
        """Try one stream; a server that cannot is left out and named."""
        try:
            stream_load.run(_plan(server, FIRST_ALONE, most=1, seconds=1))
        except BenchError as error:
            say(f"{server.name} streams nothing: {error}")
            self.not_measured[f"{server.name}: streams"] = str(error)
            return False
        return True


def _plan(
    server: Server, markers: str, *, at_once: int = 1, most: int = 1_000_000, seconds: float
) -> stream_load.Plan:
    return stream_load.Plan(server.port, server.stream(markers), at_once, most, seconds)
