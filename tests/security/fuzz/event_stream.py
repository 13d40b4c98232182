"""The reader of server-sent events: what it finds depends on nothing but the bytes."""

import re
from collections.abc import Callable

from ai_gateway.providers.sse import EventSplitter, event_data
from tests.security.fuzz.target import Target, metering_cases

MOST_CUTS = 8
Split = Callable[[list[bytes]], tuple[list[bytes], bytes]]
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


def split_events(chunks: list[bytes]) -> tuple[list[bytes], bytes]:
    """The events of a stream that comes in chunks, and what is left."""
    splitter = EventSplitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    return events, splitter.rest()


def check(data: bytes, split: Split = split_events) -> None:
    """The first bytes say where the rest is cut."""
    cuts, body = data[:MOST_CUTS], _with_one_mark(data[MOST_CUTS:])
    events, rest = split([body])
    assert b"".join(events) + rest == body
    told = _told(events, rest)
    assert split(_sliced(body, cuts)) == (events, rest), "it matters how the bytes are cut"
    for line_end in (b"\n", b"\r\n", b"\r"):
        written = _LINE_END.sub(line_end, body)
        assert _told(*split(_sliced(written, cuts))) == told, f"it matters: {line_end!r}"
    assert told == _reference(body)


def seeds() -> list[bytes]:
    streams = [
        b": keep-alive\n\ndata: a\ndata: b\r\rdata:c\r\n\r\n",
        b"event: ping\nid: 1\n\ndata\n\ndata: \xff",
        _BOM + b"data: x\n\n",
    ]
    streams += ["".join(case["response"]).encode() for case in metering_cases("sse_events")]
    return [bytes(range(1, 1 + MOST_CUTS)) + stream for stream in streams]


def _sliced(body: bytes, cuts: bytes) -> list[bytes]:
    ends = sorted(cut * (len(body) + 1) // 256 for cut in cuts)
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


def _told(events: list[bytes], rest: bytes) -> list[bytes]:
    return [data for event in (*events, rest) if (data := event_data(event)) is not None]


def _with_one_mark(body: bytes) -> bytes:
    """Elsewhere no provider sends the mark of the byte order, and nobody says what it is there."""
    mark = _BOM if body.startswith(_BOM) else b""
    return mark + body.removeprefix(_BOM).replace(_BOM, b"?")


def _reference(body: bytes) -> list[bytes]:
    """Line by line, as the specification has it, except that what is unfinished counts too."""
    found: list[bytes] = []
    lines: list[bytes] = []
    for line in (*_LINE_END.split(body.removeprefix(_BOM)), b""):
        field, colon, value = line.partition(b":")
        if field == b"data" and colon:
            lines.append(value.removeprefix(b" "))
        elif not line and lines:
            found.append(b"\n".join(lines))
            lines = []
    return found


TARGET = Target(
    "events",
    check,
    seeds,
    (b"\r\n", b"\n\n", b"\r\r", b"data:", b"data: ", b"event:", _BOM),
)
