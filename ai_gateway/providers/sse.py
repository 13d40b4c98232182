"""Server-sent events as bytes: cuts a stream into events without changing a byte of it.

Lines end in LF, CRLF or CR, also cut over two reads; an event ends with a blank line. An event
that does not end is held in memory, so that its length is bounded.
"""

import re

MAX_EVENT_BYTES = 16 * 2**20
"""The longest are images in base64, a few megabytes each."""

_LINE_END = rb"(?>\r\n|\n|\r)"
# A CR that was read last may be half of a CRLF: it ends the event when the next byte has come.
_EVENT_END = re.compile(_LINE_END + rb"(?:\r\n|\n|\r(?!\Z))")
_LINES = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLong(Exception):
    """An event has more than `MAX_EVENT_BYTES` and has not ended yet."""


class EventSplitter:
    """Bytes in, whole raw events out, blank line included; with the rest they are the input."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that `chunk` completes; raises `EventTooLong` and forgets what it held."""
        buffer = self._buffer
        buffer += chunk
        events = []
        start = 0
        # The blank line may have begun in the last three bytes that were searched before.
        search = max(0, self._searched - 3)
        while match := _EVENT_END.search(buffer, search):
            events.append(bytes(buffer[start : match.end()]))
            start = search = match.end()
        del buffer[:start]
        self._searched = len(buffer)
        if self._searched > MAX_EVENT_BYTES:
            self._buffer = bytearray()
            self._searched = 0
            raise EventTooLong
        return events

    def rest(self) -> bytes:
        """What is left at the end of the stream: an event without its blank line, or nothing."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def event_data(event: bytes) -> bytes | None:
    """The data of a raw event, several lines joined by a newline; None where it has none."""
    line = event.rstrip(b"\r\n")
    if line.startswith(b"data: ") and b"\n" not in line and b"\r" not in line:
        return line[6:]  # nearly all are like this
    parts = [
        line[6:] if line[5:6] == b" " else line[5:]
        for line in _LINES.split(event.removeprefix(_BOM))
        if line.startswith(b"data:")
    ]
    return b"\n".join(parts) if parts else None
