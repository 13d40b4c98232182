"""A client of the rig: it knows what any client knows, and writes all of it into the history."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.caller import Answer, Caller, Headers, Stream
from tests.faults.history import End, History

LAST_EVENT = b"data: [DONE]"


@dataclass(frozen=True, slots=True)
class Client:
    """A user with one key."""

    caller: Caller
    history: History

    def ask(
        self, prompt: str = "", *, headers: Headers | None = None, **more: object
    ) -> Answer | None:
        """One call and its whole answer; None where the connection broke."""
        started = time.monotonic()
        body = json.dumps(self.caller.body("openai", prompt, **more)).encode()
        try:
            answer = self.caller.post("openai", body, headers)
        except (OSError, http.client.HTTPException):
            self._note(0, "nothing", None, started)
            return None
        end: End = "whole" if answer.status == 200 else "error"
        self._note(answer.status, end, answer.headers.get("x-request-id"), started)
        return answer

    def ask_many(
        self, count: int, prompt: str, *, headers: Headers | None = None, **more: object
    ) -> list[Answer | None]:
        """So many calls at once."""
        with ThreadPoolExecutor(min(count, 100)) as pool:
            asked = [pool.submit(self.ask, prompt, headers=headers, **more) for _ in range(count)]
            return [one.result() for one in asked]

    def open(self, prompt: str, **more: object) -> "OpenStream":
        """Begin a streamed call, and read to its first word."""
        stream = OpenStream(self, self.caller.stream("openai", prompt, **more))
        stream.raw.read_until(b"Hello")
        return stream

    def open_many(self, count: int, prompt: str, **more: object) -> list["OpenStream"]:
        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.open(prompt, **more), range(count)))

    @contextmanager
    def asking(
        self,
        pause_seconds: float = 0.05,
        *,
        askers: int = 1,
        prompt: str = "[[tokens=2]]",
        **more: object,
    ) -> Iterator[list[Answer | None]]:
        """One call after another from each asker, beside whatever happens in the block."""
        answers: list[Answer | None] = []
        has_ended = threading.Event()

        def ask() -> None:
            while not has_ended.wait(pause_seconds):
                answers.append(self.ask(prompt, headers=None, **more))

        threads = [threading.Thread(target=ask) for _ in range(askers)]
        for thread in threads:
            thread.start()
        try:
            yield answers
        finally:
            has_ended.set()
            for thread in threads:
                thread.join()

    def _note(self, status: int, end: End, request_id: str | None, started: float) -> None:
        seconds = time.monotonic() - started
        self.history.note(self.caller.key_id, status, end, request_id=request_id, seconds=seconds)


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A streamed answer whose client reads it or leaves."""

    client: Client
    raw: Stream
    started: float = field(default_factory=time.monotonic)

    @property
    def request_id(self) -> str:
        return self.raw.headers["x-request-id"]

    def read(self) -> End:
        """Read to the end, whatever it is, and say which it was."""
        received = self.raw.read_all()
        end: End = "broken"
        if LAST_EVENT in received:
            end = "whole"
        elif not self.raw.is_broken and b'"error"' in received.strip().splitlines()[-1]:
            end = "error"
        self._note(end)
        self.raw.leave()
        return end

    def leave(self) -> None:
        """Go away before the end."""
        self.raw.leave()
        self._note("left")

    def _note(self, end: End) -> None:
        self.client._note(self.raw.status, end, self.request_id, self.started)


def read_all(streams: list[OpenStream]) -> list[End]:
    """Read streams to their ends at once."""
    with ThreadPoolExecutor(len(streams)) as pool:
        return list(pool.map(OpenStream.read, streams))
