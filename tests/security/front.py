"""`deploy/nginx.conf` at work: a real nginx with our ports, certificates and times put in."""

import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.nginx import find_nginx
from bench.processes import accepts, running
from tests.serve.gateway_process import free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx.conf"
NAME = "gateway.example.com"
ANSWER_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx and the ways to speak to it."""

    folder: Path
    tls_port: int
    plain_port: int

    def connect(self, *protocols: str, server_name: str = NAME) -> ssl.SSLSocket:
        """Open a TLS connection; the certificate is one of the tests and is not looked at."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(list(protocols))
        plain = socket.create_connection(("127.0.0.1", self.tls_port), timeout=ANSWER_SECONDS)
        return context.wrap_socket(plain, server_hostname=server_name)

    def say(self, request: bytes, server_name: str = NAME) -> bytes:
        """Send bytes as they are; all that comes until nginx hangs up or has answered."""
        with closing(self.connect(server_name=server_name)) as connection:
            connection.sendall(request)
            return heard(connection)

    def get(self, path: str, headers: str = "", method: str = "GET") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n"
        return self.say(f"{head}{headers}\r\n".encode())

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def heard(connection: socket.socket) -> bytes:
    """All that comes until the other side hangs up."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except (ConnectionError, ssl.SSLError):
        pass
    return received


def status_of(answer: bytes) -> int:
    """The status of an answer; 0 where the connection ended without one."""
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[1]) if found else 0


@contextmanager
def running_front(
    upstream_port: int, certificate: Path, times: Mapping[str, str] | None = None
) -> Iterator[Front]:
    """Run the shipped file before a port; `times` are put in the place of longer ones."""
    # It drops root, and pytest's own folders are private.
    folder = Path(tempfile.mkdtemp(prefix="agw-front"))
    folder.chmod(0o755)
    front = Front(folder, free_port(), free_port())
    text = _put_in(front, upstream_port, certificate, times or {})
    (folder / "nginx.conf").write_text(text)
    command = [find_nginx(), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    command += ["-g", "daemon off;"]
    try:
        with running(
            command, folder / "said", is_ready=lambda: accepts(front.tls_port), ready_seconds=20
        ):
            yield front
    finally:
        shutil.rmtree(folder)


def _put_in(front: Front, upstream_port: int, certificate: Path, times: Mapping[str, str]) -> str:
    text = SHIPPED.read_text()
    temporary = "".join(
        f"    {kind}_temp_path {front.folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    for shipped, ours in {
        "listen 443 ": f"listen 127.0.0.1:{front.tls_port} ",
        "listen 80": f"listen 127.0.0.1:{front.plain_port}",
        "127.0.0.1:8000": f"127.0.0.1:{upstream_port}",
        "/run/nginx.pid": f"{front.folder}/pid",
        "/var/log/nginx": f"{front.folder}",
        "/etc/nginx/tls/gateway": f"{certificate}/gateway",
        "worker_processes auto": "worker_processes 1",
        "http {\n": f"http {{\n{temporary}",
        **times,
    }.items():
        assert shipped in text, shipped
        text = text.replace(shipped, ours)
    return text


def make_certificate(folder: Path) -> Path:
    """Make a certificate of nobody, as `gateway.crt` and `gateway.key` in the folder."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    command += ["-keyout", str(folder / "gateway.key"), "-out", str(folder / "gateway.crt")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@dataclass
class Upstream:
    """Stands where the gateway stands: notes what arrives, and answers as it is told."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
    more: bytes = b""
    """Comes after the answer for as long as the other side takes it."""
    heads: list[bytes] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)
    sent: int = 0

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(ANSWER_SECONDS)
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(65536)
            if not part:
                return
            received += part
        self.heads.append(received.partition(b"\r\n\r\n")[0])
        try:
            connection.sendall(self.answer)
            while self.more:
                self.sent += connection.send(self.more)
            if not self.answer.endswith(b"ok"):
                self.may_end.wait(ANSWER_SECONDS)
        except OSError:
            pass
        self.ended.set()


@contextmanager
def running_upstream(upstream: Upstream) -> Iterator[int]:
    """Serve one connection after another on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=upstream.serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        upstream.may_end.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(ANSWER_SECONDS)
