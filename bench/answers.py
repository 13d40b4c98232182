"""Where an HTTP/1.1 answer ends in a stream of bytes: just enough for the load generator."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer: its status, and how many bytes it took in all."""

    status: int
    size: int


def read_answer(received: bytes | bytearray) -> Answer | None:
    """Give the answer at the start of `received`, or None while it is not complete.

    Raises `ValueError` for an answer that says neither its length nor that it is chunked, since
    its end could only be told by the end of the connection.
    """
    end_of_head = received.find(b"\r\n\r\n")
    if end_of_head < 0:
        return None
    status_line, *lines = bytes(received[:end_of_head]).split(b"\r\n")
    status = int(status_line.split(b" ", 2)[1])
    headers = {
        name.strip().lower(): value.strip().lower()
        for name, _, value in (line.partition(b":") for line in lines)
    }
    body = end_of_head + 4
    if headers.get(b"transfer-encoding") == b"chunked":
        size = _end_of_chunks(received, body)
    elif b"content-length" in headers:
        size = body + int(headers[b"content-length"])
    else:
        raise ValueError("an answer without a length")
    return Answer(status, size) if size is not None and size <= len(received) else None


def _end_of_chunks(received: bytes | bytearray, position: int) -> int | None:
    """Give the position behind the last chunk, or None when it is not there yet. No trailers."""
    while (end_of_line := received.find(b"\r\n", position)) >= 0:
        size = int(bytes(received[position:end_of_line]).split(b";")[0], 16)
        position = end_of_line + 2 + size + 2
        if size == 0:
            return position
    return None
