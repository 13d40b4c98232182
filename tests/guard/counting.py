"""Counts what one metered call costs, in things that are the same on every machine at any load."""

import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.guard.counter import BEGIN, REPORT, WORKER
from tests.guard.exchange import Client
from tests.guard.redis_commands import commands_of
from tests.guard.rig import Rig
from tests.guard.system_calls import calls_of, watched

BYTECODES, C_CALLS = "bytecodes", "c_calls"
SYSTEM_CALLS, ROUND_TRIPS, REDIS_COMMANDS = "system_calls", "redis_round_trips", "redis_commands"
BY_STRACE = (SYSTEM_CALLS, ROUND_TRIPS)
BY_PYTHON = (BYTECODES, C_CALLS)
CALLS = 15
"""Of which the median is told: once a second the worker looks after something else."""

KINDS: Mapping[str, Callable[[Client], None]] = {
    "plain": Client.call,
    "streamed": Client.streamed_call,
}


@dataclass(frozen=True, slots=True)
class Count:
    """Something that a call costs, and of what it is made up."""

    total: int
    parts: Mapping[str, int]


def count(rig: Rig, kind: str, *, with_strace: bool) -> dict[str, Count]:
    """All that a call of a kind costs, by the names of the limits."""
    counted = {**_in_python(rig, kind), REDIS_COMMANDS: _in_redis(rig, kind)}
    return counted | (_in_kernel(rig, kind) if with_strace else {})


def _in_python(rig: Rig, kind: str) -> dict[str, Count]:
    with rig.client() as switch:
        switch.get(BEGIN)
    # On a new connection, since what already runs is not followed.
    with rig.client() as client:
        _make_calls(client, kind)
        # The last of them is cut off by the question.
        told: list[dict[str, dict[str, int]]] = client.get(REPORT)[:-1]
    return {what: _typical([one[what] for one in told]) for what in BY_PYTHON}


def _in_redis(rig: Rig, kind: str) -> Count:
    with rig.client() as client:
        counted = commands_of(rig.redis_url, lambda: _make_calls(client, kind))
    parts = {name: round(number / CALLS) for name, number in counted.items()}
    return Count(sum(parts.values()), parts)


def _in_kernel(rig: Rig, kind: str) -> dict[str, Count]:
    with tempfile.TemporaryDirectory() as folder, rig.client() as client:
        log = Path(folder) / "strace"
        with watched(client.get(WORKER), log):
            _make_calls(client, kind)
        seen = calls_of(log.read_text(encoding="utf-8", errors="replace").splitlines())
    round_trips = int(statistics.median_low(one.to_redis for one in seen))
    return {
        SYSTEM_CALLS: _typical([one.names for one in seen]),
        ROUND_TRIPS: Count(round_trips, {}),
    }


def _make_calls(client: Client, kind: str) -> None:
    for _ in range(CALLS):
        KINDS[kind](client)


def _typical(calls: Sequence[Mapping[str, int]]) -> Count:
    names = {name for call in calls for name in call}
    parts = {name: _median(call.get(name, 0) for call in calls) for name in names}
    return Count(_median(sum(call.values()) for call in calls), parts)


def _median(values: Iterable[int]) -> int:
    return statistics.median_low(values)
