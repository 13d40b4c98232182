"""What every wire format can do: read a request, write it for the provider, read the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol
from urllib.parse import urlencode

import orjson

from ai_gateway.domain.call import PLAIN_ADDRESS, Address, AskedCall, DialectName, Operation
from ai_gateway.domain.usage import Reading, Usage, UsageStatus
from ai_gateway.providers.provider import Provider, Quirks
from ai_gateway.providers.sse import EventSplitter, event_data

MOST_TOKENS = 10**9
"""No call comes near it, and the cost of what is above would not fit into Redis."""

MOST_RAW_BYTES = 64 * 1024
"""The longest usage object that is kept; real ones have less than a kilobyte."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One request to a provider, ready to be sent."""

    provider: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    is_streamed: bool
    method: Literal["POST", "GET", "DELETE"] = "POST"


class Interpreter(Protocol):
    """Sees the events of one stream in order and gathers what they tell.

    `text_bytes` counts the UTF-8 bytes of text relayed so far. `is_complete` tells that the
    provider ended its answer properly, `has_failed` that it sent an error event. `stored_id` names
    what the provider keeps of the answer.
    """

    text_bytes: int
    is_complete: bool
    has_failed: bool
    stored_id: str | None

    def see(self, data: bytes) -> bool:
        """Take in one event; False for one that must not reach the client."""
        ...

    def end(self) -> None:
        """Take note that the provider ended the stream and did not break it off."""
        ...

    def reading(self) -> Reading:
        """What the stream has told so far."""
        ...


class Dialect(Protocol):
    """A wire format. Stateless; one object serves all calls."""

    name: DialectName

    def read_request(
        self, operation: Operation, raw: bytes, address: Address = PLAIN_ADDRESS
    ) -> AskedCall: ...

    def upstream_request(
        self,
        provider: Provider,
        asked: AskedCall,
        *,
        model: str,
        output_cap: int | None,
        client_headers: Mapping[str, str],
    ) -> UpstreamRequest: ...

    def read_answer(self, body: bytes, operation: Operation, quirks: Quirks) -> Reading: ...

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> Interpreter: ...


class StreamReader:
    """Cuts a provider's stream into events, lets them pass, and has them interpreted."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._splitter = EventSplitter()
        self._interpreter = interpreter
        self.has_content = False

    def feed(self, chunk: bytes) -> bytes:
        """What goes on to the client for this read: whole events, unchanged."""
        return b"".join([event for event in self._splitter.feed(chunk) if self._passes(event)])

    def rest(self) -> bytes:
        """The unfinished event where the provider ended the stream, if it may pass."""
        rest = self._splitter.rest()
        passes = bool(rest) and self._passes(rest)
        self._interpreter.end()
        return rest if passes else b""

    @property
    def is_complete(self) -> bool:
        return self._interpreter.is_complete

    @property
    def has_failed(self) -> bool:
        return self._interpreter.has_failed

    @property
    def stored_id(self) -> str | None:
        return self._interpreter.stored_id

    @property
    def text_bytes(self) -> int:
        return self._interpreter.text_bytes

    def reading(self) -> Reading:
        return self._interpreter.reading()

    def _passes(self, event: bytes) -> bool:
        data = event_data(event)
        if data is None:
            return True
        passes = self._interpreter.see(data)
        self.has_content = self.has_content or self._interpreter.text_bytes > 0
        return passes


def with_query(url: str, query: tuple[tuple[str, str], ...]) -> str:
    return f"{url}?{urlencode(query)}" if query else url


def parse_event(data: bytes) -> dict[str, object] | None:
    """The object of an event; None for what is no JSON object (it passes, but tells nothing)."""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def parse_answer(body: bytes) -> dict[str, object] | None:
    """The object of a whole answer. Blank lines and comments may come before it, to keep alive."""
    start = body.lstrip()
    while start.startswith(b":"):
        start = start.partition(b"\n")[2].lstrip()
    return parse_event(start)


def unreadable(body: bytes) -> Reading:
    """What is no answer tells nothing, but may be billed all the same."""
    return Reading(
        UsageStatus.MISSING, Usage(), text_bytes=len(body), failed=True, is_readable=False
    )


def raw_usage(usage: object) -> str | None:
    """The provider's own usage object, for the ledger; none that is beyond all measure."""
    text = b"" if usage is None else _written(usage)
    return text.decode() if 0 < len(text) <= MOST_RAW_BYTES else None


def json_length(value: object) -> int:
    """The bytes of a value as it was sent, about; 0 where it is nested beyond all measure."""
    return len(_written(value))


def _written(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        # More levels are read than written.
        return b""


def object_in(holder: Mapping[str, object], name: str) -> Mapping[str, object]:
    """A member that is an object, else an empty one: details may be absent or null."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def objects_in(holder: Mapping[str, object], name: str) -> list[dict[str, object]]:
    """The objects of a member that is a list; none where it is anything else."""
    value = holder.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def has_count(holder: Mapping[str, object], name: str) -> bool:
    """Whether a member is a number of tokens; what cannot be read is no report of 0."""
    value = holder.get(name)
    return type(value) is int and abs(value) <= MOST_TOKENS  # a boolean is an `int` too


def count_in(holder: Mapping[str, object], name: str) -> int:
    """A member that is a number of tokens, else 0. Negative ones stay, to be seen as an anomaly."""
    value = holder.get(name)
    return value if type(value) is int and abs(value) <= MOST_TOKENS else 0


def text_length(value: object) -> int:
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0


def checked(usage: Usage, *, status: UsageStatus) -> tuple[Usage, UsageStatus]:
    """Mark an inconsistent report and take its larger reading; never a negative count."""
    if usage.is_consistent:
        return usage, status
    return usage.clamped(), UsageStatus.ANOMALY
