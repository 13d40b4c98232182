"""Calls of all kinds, one after another by each of several threads, while something is done."""

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.e2e.caller import DIALECTS, Dialect, Stream
from tests.faults.client import Client
from tests.faults.history import End

CAP = 60
LAST_EVENTS = (b"data: [DONE]", b'"message_stop"')
BROKEN = (OSError, http.client.HTTPException)


@contextmanager
def under_load(
    clients: Sequence[Client], seed: str, *, threads: int = 16, pause_seconds: float = 0.2
) -> Iterator[None]:
    """Keep calling while the block runs; afterwards each thread ends its last call."""
    has_ended = threading.Event()

    def call_on(number: int) -> None:
        random = Random(f"{seed}:{number}")
        while not has_ended.wait(random.uniform(0, 2 * pause_seconds)):
            any_call(clients[number % len(clients)], random)

    callers = [threading.Thread(target=call_on, args=(number,)) for number in range(threads)]
    for caller in callers:
        caller.start()
    try:
        yield
    finally:
        has_ended.set()
        for caller in callers:
            caller.join()


def any_call(client: Client, random: Random) -> None:
    """One call: whole, streamed, or streamed and left in the middle."""
    dialect = random.choice(DIALECTS)
    words = f"[[tokens={random.randint(1, CAP)}]] [[pace={random.choice((0, 5, 20))}]]"
    if random.random() < 0.4:
        whole(client, dialect, words)
    else:
        follow(client, dialect, words, random.choice((None, None, random.randint(1, 20))))


def whole(client: Client, dialect: Dialect, prompt: str) -> int:
    """A call that is not streamed; returns its status, 0 where the connection broke."""
    started = time.monotonic()
    try:
        answer = client.caller.ask(dialect, prompt, max_tokens=CAP)
    except BROKEN:
        client._note(0, "nothing", None, started)
        return 0
    end: End = "whole" if answer.status == 200 else "error"
    client._note(answer.status, end, answer.headers.get("x-request-id"), started)
    return answer.status


def follow(
    client: Client, dialect: Dialect, prompt: str, leave_after: int | None = None
) -> str | None:
    """A streamed call, which the client may leave after so many events; returns its name."""
    started = time.monotonic()
    try:
        stream = client.caller.stream(dialect, prompt, max_tokens=CAP)
    except BROKEN:
        client._note(0, "nothing", None, started)
        return None
    try:
        end = _left(stream, leave_after) if leave_after else _read(stream)
    except BROKEN:
        end = "broken"
    finally:
        stream.leave()
    request_id = stream.headers.get("x-request-id")
    client._note(stream.status, end, request_id, started)
    return request_id


def _left(stream: Stream, events: int) -> End:
    while stream.received.count(b"data:") < events and stream.read_some():
        pass
    return "left"


def _read(stream: Stream) -> End:
    received = stream.read_all()
    if stream.status == 200 and any(event in received for event in LAST_EVENTS):
        return "whole"
    return "error" if not stream.is_broken and b'"error"' in received else "broken"
