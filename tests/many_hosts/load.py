"""Clients that call whichever host serves, as a load balancer leads them, and note the answers."""

import http.client
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random

from tests.e2e.caller import Caller
from tests.faults.client import LAST_EVENT, Client
from tests.faults.history import End, History
from tests.many_hosts.site import Host
from tests.running import wait_for

CALLERS = 30
REFUSED_PAUSE_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 600.0


class Load:
    """Threads that call one call after another; which call and where is left to the seed."""

    def __init__(
        self, hosts: Sequence[Host], keys: Sequence[str], history: History, seed: int
    ) -> None:
        self._hosts = hosts
        self._keys = keys
        self._history = history
        self._seed = seed
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.finished = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call for as long as the block lasts, and wait for what was begun in it."""
        threads = [
            threading.Thread(target=self._call_on, args=(Random(self._seed * CALLERS + number),))
            for number in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def wait_for(self, more: int) -> None:
        """Wait until so many more calls came to a good end."""
        least = self.finished + more
        wait_for(lambda: self.finished >= least, f"{more} more calls", LONGEST_WAIT_SECONDS)

    def _call_on(self, chance: Random) -> None:
        while not self._stop.is_set():
            host = chance.choice([host for host in self._hosts if host.serves])
            client = Client(Caller(host, chance.choice(self._keys)), self._history)
            call = self._stream if chance.random() < 0.3 else self._ask
            if call(client, f"[[tokens={chance.randint(1, 30)}]]"):
                with self._lock:
                    self.finished += 1
            else:
                self._stop.wait(REFUSED_PAUSE_SECONDS)

    def _ask(self, client: Client, prompt: str) -> bool:
        answer = client.ask(prompt)
        return answer is not None and answer.status == 200

    def _stream(self, client: Client, prompt: str) -> bool:
        """A streamed call, read to its end whatever that is."""
        caller, started = client.caller, time.monotonic()
        status, request_id = 0, None
        end: End = "nothing"
        try:
            stream = caller.stream("openai", f"{prompt} [[pace=10]]")
        except (OSError, http.client.HTTPException):
            pass
        else:
            status, request_id = stream.status, stream.headers.get("x-request-id")
            end = _end_of(status, stream.read_all(), is_broken=stream.is_broken)
            stream.leave()
        seconds = time.monotonic() - started
        self._history.note(caller.key_id, status, end, request_id=request_id, seconds=seconds)
        return end == "whole"


def _end_of(status: int, received: bytes, *, is_broken: bool) -> End:
    if LAST_EVENT in received:
        return "whole"
    if is_broken or (status == 200 and b'"error"' not in received):
        return "broken"
    return "error"
