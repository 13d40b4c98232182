"""A provider on a real socket that does to each connection what a test tells it to."""

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Thread
from types import TracebackType

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


class Connection:
    """The far end of one connection."""

    def __init__(self, raw: socket.socket, seen: list[SeenRequest]) -> None:
        self._raw = raw
        self._file = raw.makefile("rb")
        self._seen = seen

    def take_request(self) -> SeenRequest:
        """Wait for a whole request and remember it; raises `EOFError` where none comes."""
        line = self._file.readline().decode().strip()
        if not line:
            raise EOFError
        headers = {}
        while header := self._file.readline().decode().strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", 0)))
        request = SeenRequest(line, headers, body)
        self._seen.append(request)
        return request

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on under TLS, as a server."""
        self._file.close()
        self._raw = context.wrap_socket(self._raw, server_side=True)
        self._file = self._raw.makefile("rb")

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self._raw.sendall(part)

    def wait_for_end(self) -> bytes:
        """Wait until the other side is gone; returns what it sent before."""
        with suppress(ConnectionError):
            return self._file.read()
        return b""

    def wake(self) -> None:
        """Let whoever waits on it see the end."""
        with suppress(OSError):
            socket.socket.shutdown(self._raw, socket.SHUT_RDWR)

    def close(self) -> None:
        self._file.close()
        self._raw.close()


Script = Callable[[Connection], None]


class Upstream:
    """Listens on loopback; the n-th connection is served by the n-th script."""

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.seen: list[SeenRequest] = []
        self.connections = 0
        self.failures: list[BaseException] = []
        self._scripts = scripts
        self._open: list[Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(TIMEOUT_SECONDS)
        self._thread = Thread(target=self._serve, daemon=True)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def url(self, scheme: str = "http", path: str = "/v1/chat/completions") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> "Upstream":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Wakes the threads where they still wait: a client keeps its connections open.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._open:
            connection.wake()
        self._thread.join(TIMEOUT_SECONDS)
        self._listener.close()

    def _serve(self) -> None:
        workers = []
        for script in self._scripts:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                break
            self.connections += 1
            raw.settimeout(TIMEOUT_SECONDS)
            connection = Connection(raw, self.seen)
            self._open.append(connection)
            workers.append(Thread(target=self._run, args=(script, connection), daemon=True))
            workers[-1].start()
        for worker in workers:
            worker.join(TIMEOUT_SECONDS)

    def _run(self, script: Script, connection: Connection) -> None:
        try:
            script(connection)
        except (EOFError, OSError):
            pass
        except BaseException as error:  # noqa: BLE001  # handed to the test
            self.failures.append(error)
        finally:
            connection.close()


@contextmanager
def upstream(*scripts: Script) -> Iterator[Upstream]:
    """Run a provider for as long as the block lasts."""
    with Upstream(scripts) as running:
        yield running
    assert running.failures == []


def whole(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> bytes:
    """An answer with its length."""
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{headers}"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


def chunked_head(headers: str = "") -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}"
    return f"{head}transfer-encoding: chunked\r\n\r\n".encode()


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
