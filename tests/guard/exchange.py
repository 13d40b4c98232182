"""Both ends of the counted calls: a client, and a stand-in for OpenAI, which move in step.

The stand-in sends the next part of a stream when the client has read the last one, so that no
two parts arrive at once, however busy the machine is: the counts must not depend on time.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MODEL = "gpt-4o-mini"
PIECES = 8
"""Parts of a streamed answer that bring text; one more ends it."""

PROMPT = "x" * 1800
ANSWER = "y" * 800
USAGE = {"prompt_tokens": 460, "completion_tokens": 200, "total_tokens": 660}
CHAT = "/v1/chat/completions"
PATIENCE_SECONDS = 60.0
END_OF_CHUNKS = b"0\r\n\r\n"
DONE = b"data: [DONE]"


class Provider:
    """Answers each chat completion with the same; `go` lets one more part of a stream out."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.go = threading.Semaphore(0)

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._answer_all, args=[connection], daemon=True).start()

    def close(self) -> None:
        # Closing alone would not wake the thread that waits in it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _answer_all(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as received:
            while (body := _request(received)) is not None:
                if json.loads(body).get("stream"):
                    for part in _stream_parts():
                        self.go.acquire(timeout=PATIENCE_SECONDS)
                        connection.sendall(part)
                else:
                    connection.sendall(_whole_answer())


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    thread = threading.Thread(target=provider.serve, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.close()
        thread.join(PATIENCE_SECONDS)


class Client:
    """One kept connection to the gateway."""

    def __init__(self, port: int, key: str, provider: Provider) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._key = key
        self._provider = provider

    def close(self) -> None:
        self._socket.close()

    def get(self, path: str) -> Any:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\nHost: guard\r\n\r\n".encode())
        return json.loads(self._whole())

    def call(self) -> None:
        """One plain call, metered."""
        self._socket.sendall(self._request(stream=False))
        assert json.loads(self._whole())["usage"] == USAGE

    def streamed_call(self) -> None:
        self._socket.sendall(self._request(stream=True))
        received = b""
        for piece in range(1, PIECES + 1):
            self._provider.go.release()
            while received.count(b"data: ") < piece:
                received += self._more()
        self._provider.go.release()
        while not received.endswith(END_OF_CHUNKS):
            received += self._more()
        assert received.startswith(b"HTTP/1.1 200"), received
        assert DONE in received, received

    def _request(self, *, stream: bool) -> bytes:
        messages = [{"role": "user", "content": PROMPT}]
        asked = {"model": MODEL, "max_tokens": 256, "messages": messages, "stream": stream}
        body = json.dumps(asked)
        return (
            f"POST {CHAT} HTTP/1.1\r\nHost: guard\r\nAuthorization: Bearer {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _whole(self) -> bytes:
        received = self._more()
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), received
        while len(body) < _length(head):
            body += self._more()
        return body

    def _more(self) -> bytes:
        more = self._socket.recv(1 << 16)
        assert more, "the gateway closed the connection"
        return more


def _request(received: Any) -> bytes | None:
    """The body of the next request, or None where there is none any more."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = received.readline()
        if not line:
            return None
        head += line
    return bytes(received.read(_length(head)))


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _whole_answer() -> bytes:
    message = {"role": "assistant", "content": ANSWER}
    body = json.dumps(
        {
            "id": "chatcmpl-guard",
            "object": "chat.completion",
            "created": 1760000000,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": USAGE,
        }
    )
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


def _stream_parts() -> Iterator[bytes]:
    """As vendors send them: text piece by piece, then the usage and the end."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for number in range(PIECES):
        piece = ANSWER[: len(ANSWER) // PIECES]
        chunk = _chunk([{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        yield head + chunk if number == 0 else chunk
    end = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    yield b"".join((_chunk(end), _chunk([], USAGE), _framed(DONE + b"\n\n"), END_OF_CHUNKS))


def _chunk(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
    event = {
        "id": "chatcmpl-guard",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": MODEL,
        "choices": choices,
        "usage": usage,
    }
    return _framed(b"data: " + json.dumps(event).encode() + b"\n\n")


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
