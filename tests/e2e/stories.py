"""Two long stories, told side by side since most of their time is waiting; tests look at them."""

import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.calls import CallFacts
from tests.e2e import processes
from tests.e2e.caller import DIALECTS, Answer, Caller, Dialect, Stream
from tests.e2e.operating import Operator
from tests.running import RunningGateway, wait_for

STREAM_END = {"openai": b"data: [DONE]\n\n", "anthropic": b'data: {"type":"message_stop"}\n\n'}

Streams = list[tuple[Dialect, Stream]]
Answers = list[tuple[Dialect, Answer]]


@dataclass(frozen=True, slots=True)
class KilledWorker:
    """What became of running streams after one of two workers was killed."""

    streams: Streams
    entries: dict[str, dict[str, Any]]
    seconds: float
    answers_after: list[Answer]
    workers_after: int
    is_other_alive: bool
    leases: int
    answers_while_valkey_hung: Answers
    entries_of_hung: list[dict[str, Any]]
    unread: list[dict[str, Any]]
    abandoned: list[dict[str, Any]]
    abandoned_calls: list[CallFacts]


@dataclass(frozen=True, slots=True)
class Restart:
    """A gateway that was stopped with streams running, started again, and lost its Valkey."""

    short: Streams
    long: Streams
    exit_code: int
    said_first: str
    said_again: str
    spent_before: int
    counters_after: dict[str, tuple[int, int]]
    entries: dict[str, dict[str, Any]]
    answers_again: list[Answer]
    answers_without_valkey: Answers
    streams_without_valkey: Streams
    entries_in_the_end: list[dict[str, Any]]
    spent_in_the_end: tuple[int, int]
    billed_in_the_end: int


def killed_worker(folder: Path) -> KilledWorker:
    """`kill -9` for one of two workers.

    Before that Valkey hangs for a while, and clients leave this gateway that does not drain; after
    it one client does not read. The end of the story is later than any lease left by these.
    """
    gateway = RunningGateway(folder, {"AI_GATEWAY_ON_DISCONNECT": "cancel"})
    try:
        gateway.start()
        operator = Operator(gateway)
        caller, leaver, hung, idler = (operator.new_caller() for _ in range(4))
        while_hung = _while_valkey_hangs(hung)
        for _, stream in _open(leaver, "[[tokens=2000]] [[pace=20]]", DIALECTS):
            stream.leave()
        streams = _open(caller, "[[tokens=60]] [[pace=50]]", DIALECTS * 10)
        victim, other = processes.workers(gateway)
        processes.kill(victim)
        killed_at = time.monotonic()
        idle = idler.send("openai", "[[tokens=100000]]", stream=True, max_tokens=100_000)
        _read(streams)
        answers = [caller.ask(dialect, "[[tokens=1]]") for dialect in DIALECTS * 5]
        entries = {entry["request_id"]: entry for entry in caller.booked_once(30)}
        gateway.flask("ledger", "verify")
        unread = idler.booked_once(1)
        idle.close()
        return KilledWorker(
            streams=streams,
            entries=entries,
            seconds=time.monotonic() - killed_at,
            answers_after=answers,
            workers_after=len(processes.workers(gateway)),
            is_other_alive=other in processes.workers(gateway),
            leases=sum(caller.has_lease(request_id) for request_id in entries),
            answers_while_valkey_hung=while_hung,
            entries_of_hung=gateway.ledger(hung.key),
            unread=unread,
            abandoned=leaver.booked_once(2),
            abandoned_calls=leaver.simulated(),
        )
    finally:
        gateway.end()


def restart(folder: Path) -> Restart:
    """Stop with streams running, start with the same data, then take Valkey away."""
    gateway = RunningGateway(folder)
    try:
        gateway.start()
        said = gateway.said()
        first_key = re.search(r"agw_\w+", said)
        assert first_key, said
        caller = Caller(gateway, first_key[0])
        for dialect in DIALECTS * 3:
            assert caller.ask(dialect).status == 200
        spent_before = caller.account()[0]
        short = _open(caller, "[[tokens=40]] [[pace=50]]", DIALECTS)
        long = _open(caller, "[[tokens=4000]] [[pace=50]]", DIALECTS, max_tokens=5000)
        assert gateway._process is not None
        gateway._process.send_signal(signal.SIGTERM)
        _read(short + long)
        exit_code = gateway._process.wait(60)
        gateway.start()
        answers = [caller.ask(dialect) for dialect in DIALECTS]
        entries = {entry["request_id"]: entry for entry in caller.booked_once(12)}
        counters = {
            scope: caller.account(scope, "month") for scope in ("user", "key", "installation")
        }
        user = Operator(gateway).new_caller()
        streams = _open(user, "[[tokens=80]] [[pace=50]]", DIALECTS)
        processes.kill(processes.child(gateway, "valkey"))
        without = _ask_at_once(user)
        _read(streams)
        wait_for(lambda: user.ask("openai").status == 200, "calls are served again")
        gateway.flask("ledger", "verify")
        return Restart(
            short=short,
            long=long,
            exit_code=exit_code,
            said_first=said,
            said_again=gateway.said().removeprefix(said),
            spent_before=spent_before,
            counters_after=counters,
            entries=entries,
            answers_again=answers,
            answers_without_valkey=without,
            streams_without_valkey=streams,
            entries_in_the_end=user.booked_once(3),
            spent_in_the_end=user.account(),
            billed_in_the_end=user.billed(),
        )
    finally:
        gateway.end()


STORIES: dict[str, Callable[[Path], Any]] = {
    story.__name__: story for story in (killed_worker, restart)
}


def caller_ids(streams: Streams) -> list[str]:
    return [stream.headers["x-request-id"] for _, stream in streams]


def _while_valkey_hangs(caller: Caller) -> Answers:
    # Now both workers know the key: the first that these calls ask Valkey for is their hold.
    for dialect in DIALECTS * 8:
        assert caller.ask(dialect, "[[tokens=1]]").status == 200
    valkey = processes.child(caller.gateway, "valkey")
    processes.kill(valkey, signal.SIGSTOP)
    try:
        answers = _ask_at_once(caller)
    finally:
        processes.kill(valkey, signal.SIGCONT)
    # The story kills a worker next, and what it has not taken back by then would lapse.
    wait_for(lambda: _taken_back(caller) == len(answers), "the holds in doubt are taken back")
    return answers


def _taken_back(caller: Caller) -> int:
    with caller.gateway.store() as store:
        records = store.scan_iter("{agw}:call:*", count=1000)
        return sum(store.hget(record, "granted") == "0" for record in records)


def _ask_at_once(caller: Caller) -> Answers:
    with ThreadPoolExecutor(8) as pool:
        asked = [(dialect, pool.submit(caller.ask, dialect)) for dialect in DIALECTS * 4]
        return [(dialect, call.result()) for dialect, call in asked]


def _open(caller: Caller, prompt: str, dialects: tuple[Dialect, ...], **more: object) -> Streams:
    streams: Streams = [(dialect, caller.stream(dialect, prompt, **more)) for dialect in dialects]
    for _, stream in streams:
        stream.read_until(b"Hello")
    return streams


def _read(streams: Streams) -> None:
    """Read all streams to their ends at once, and close them."""
    with ThreadPoolExecutor(len(streams)) as pool:
        list(pool.map(lambda pair: pair[1].read_all(), streams))
    for _, stream in streams:
        stream.leave()
