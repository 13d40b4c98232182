"""`kill -9` of every worker at once, with fifty streams running: each is booked once.

A lease lasts 45 s, and `tests/e2e/stories.py` waits for one. Here leases are read from Redis and
then moved into the past, so that what they would have taken is known and nobody waits for it.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e import processes
from tests.e2e.caller import DIALECTS, Answer, Caller, Stream
from tests.e2e.operating import Operator
from tests.running import RunningGateway, wait_for

pytestmark = pytest.mark.long

STREAMS = 50
PROMPT = "[[tokens=2000]] [[pace=50]]"
LEASES = "{agw}:leases"
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Massacre:
    """What was found after it."""

    caller: Caller
    streams: list[Stream]
    answer: Answer
    answered_seconds: float
    lease_seconds: float
    booked_seconds: float
    """After the last lease had ended."""
    entries: list[dict[str, Any]]


@pytest.fixture(scope="module")
def massacre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Massacre]:
    gateway = RunningGateway(tmp_path_factory.mktemp("massacre"))
    try:
        gateway.start()
        yield _massacre(gateway, Operator(gateway).new_caller())
    finally:
        gateway.end()


def _massacre(gateway: RunningGateway, caller: Caller) -> Massacre:
    with ThreadPoolExecutor(STREAMS) as pool:
        streams = list(pool.map(lambda n: _opened(caller, n), range(STREAMS)))
        victims = processes.workers(gateway)
        for victim in victims:
            processes.kill(victim)
        killed_at = time.monotonic()
        list(pool.map(Stream.read_all, streams))
    wait_for(lambda: _is_replaced(gateway, victims), "there are new workers")
    answer = caller.ask("openai", "[[tokens=1]]")
    answered_at = time.monotonic()
    lease_seconds = _let_leases_end(gateway)
    ended_at = time.monotonic()
    entries = caller.booked_once(STREAMS + 1)
    for stream in streams:
        stream.leave()
    return Massacre(
        caller=caller,
        streams=streams,
        answer=answer,
        answered_seconds=answered_at - killed_at,
        lease_seconds=lease_seconds,
        booked_seconds=time.monotonic() - ended_at,
        entries=entries,
    )


def _opened(caller: Caller, number: int) -> Stream:
    stream = caller.stream(DIALECTS[number % 2], PROMPT)
    stream.read_until(b"Hello")
    return stream


def _is_replaced(gateway: RunningGateway, victims: list[int]) -> bool:
    now = processes.workers(gateway)
    return len(now) == len(victims) and not set(now) & set(victims)


def _let_leases_end(gateway: RunningGateway) -> float:
    """End all leases now; returns how long the last one would have lasted."""
    with gateway.store() as store:
        leases = dict(store.zrange(LEASES, 0, -1, withscores=True))
        seconds, microseconds = store.time()
        assert len(leases) == STREAMS
        store.zadd(LEASES, dict.fromkeys(leases, 1), xx=True)
    return float(max(leases.values()) / 1000 - seconds - microseconds / 10**6)


def test_every_stream_broke_off_without_its_end(massacre: Massacre) -> None:
    assert all(stream.is_broken for stream in massacre.streams)


def test_each_call_is_in_the_ledger_once_as_estimated(massacre: Massacre) -> None:
    entries = {entry["request_id"]: entry for entry in massacre.entries}
    assert len(entries) == len(massacre.entries) == STREAMS + 1
    for stream in massacre.streams:
        entry = entries[stream.headers["x-request-id"]]
        assert (entry["outcome"], entry["confidence"]) == ("gateway_error", "estimated")
        assert 0 < entry["cost_nano_usd"] <= entry["held_nano_usd"]


def test_it_takes_less_than_a_minute(massacre: Massacre) -> None:
    since_the_kill = massacre.answered_seconds + massacre.lease_seconds
    assert since_the_kill + massacre.booked_seconds < MINUTE


def test_nothing_is_held_and_the_ledger_is_proved(massacre: Massacre) -> None:
    assert massacre.caller.account()[1] == 0
    with massacre.caller.gateway.store() as store:
        assert store.zcard(LEASES) == 0
    massacre.caller.gateway.flask("ledger", "verify")


def test_new_workers_serve_at_once(massacre: Massacre) -> None:
    assert massacre.answer.status == 200
    assert massacre.answered_seconds < MINUTE / 4
