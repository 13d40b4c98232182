"""What the simulator was asked and what it billed, so that tests can compare books."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, TypedDict

import orjson

from simulator.usage import Usage

_MOST_CALLS: Final = 10_000
_MOST_BODY_BYTES: Final = 64 * 1024 * 1024
_CREDENTIAL_HEADERS: Final = frozenset({"authorization", "x-api-key", "api-key", "cookie"})
_SHOWN_CHARACTERS: Final = 4


class CallFacts(TypedDict):
    """A call as ``GET /_control/calls`` tells it.

    ``finished``: the last byte of the answer was written. ``ended``: nothing more will happen,
    finished or not. ``sent_chunks``: content chunks written. ``usage``: what was billed, once
    ended; null if nothing was, or if the answer was a recorded one.
    """

    request_id: str
    method: str
    path: str
    query: str
    model: str | None
    stream: bool
    status: int
    finished: bool
    ended: bool
    sent_chunks: int
    request_headers: dict[str, str]
    request_body: object
    usage: dict[str, int] | None


@dataclass(slots=True, kw_only=True)
class Call:
    """One call to a provider's path; changes until it has ended."""

    request_id: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str]
    body: bytes
    model: str | None = None
    is_stream: bool = False
    status: int = 0
    is_finished: bool = False
    has_ended: bool = False
    sent_chunks: int = 0
    usage: Usage | None = None

    def facts(self) -> CallFacts:
        """Tell the call."""
        return {
            "request_id": self.request_id,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "model": self.model,
            "stream": self.is_stream,
            "status": self.status,
            "finished": self.is_finished,
            "ended": self.has_ended,
            "sent_chunks": self.sent_chunks,
            "request_headers": {name: _shown(name, text) for name, text in self.headers.items()},
            "request_body": _json_or_none(self.body),
            "usage": None if self.usage is None else asdict(self.usage),
        }


class CallLog:
    """The latest calls, bounded in number and in the bytes of their bodies."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._body_bytes = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, call: Call) -> None:
        """Remember a call, and forget the oldest where there is no room."""
        self._calls.append(call)
        self._body_bytes += len(call.body)
        while len(self._calls) > _MOST_CALLS or self._body_bytes > _MOST_BODY_BYTES:
            self._body_bytes -= len(self._calls.popleft().body)

    def clear(self) -> None:
        """Forget all calls."""
        self._calls.clear()
        self._body_bytes = 0

    def facts(self) -> list[CallFacts]:
        """Tell all calls, the oldest first."""
        return [call.facts() for call in self._calls]

    def wait(self, seconds: float, sleep: Callable[[float], None]) -> bool:
        """Wait until every call has ended; tell whether that happened in time."""
        deadline = time.monotonic() + seconds
        while not all(call.has_ended for call in self._calls):
            if time.monotonic() >= deadline:
                return False
            sleep(0.005)
        return True


def _shown(name: str, value: str) -> str:
    return "****" + value[-_SHOWN_CHARACTERS:] if name in _CREDENTIAL_HEADERS else value


def _json_or_none(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
