"""A real SMTP server and a real HTTP sink on loopback that can refuse, hang, and tell when."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.serve.gateway_process import free_port

CERTIFICATE = Path(__file__).with_name("localhost.pem")
"""Self-signed for `localhost` and 127.0.0.1, with its key; it proves nothing to anybody else."""

HANG_SECONDS = 30.0


def nothing() -> None:
    """What happens while a message is taken, unless a test says otherwise."""


@dataclass
class MailSink:
    """What an SMTP server took. `before_taking` runs when a message is whole, before the answer."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answer: str = "250 OK"
    logins: list[tuple[str, str]] = field(default_factory=list)
    before_taking: Callable[[], object] = nothing

    async def handle_RCPT(  # noqa: N802  # as the server calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        if self.answer.startswith("250"):
            self.mails.append(message_from_bytes(content, policy=policy.default))
            self.recipients.append(list(envelope.rcpt_tos))
        self.before_taking()
        return self.answer

    def log_in(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        pair = data.login.decode(), data.password.decode()
        self.logins.append(pair)
        return AuthResult(success=pair[1] == "p@ss", handled=False)


@contextmanager
def mail_sink(*, security: str = "plain", wants_password: bool = False) -> Iterator[MailSink]:
    """`security` is plain, starttls or tls."""
    sink = MailSink(free_port())
    options: dict[str, Any] = {}
    if security != "plain":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATE)
        options["ssl_context" if security == "tls" else "tls_context"] = context
    if wants_password:
        # To insist on a log-in would make the library warn of what the test is about.
        options |= {"authenticator": sink.log_in, "auth_require_tls": security == "starttls"}
    controller = Controller(sink, hostname="127.0.0.1", port=sink.port, **options)
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


@dataclass
class WebhookSink:
    """What was posted. `status` is the answer; 0 is none at all until the end of the test."""

    url: str = ""
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    before_answer: Callable[[], object] = nothing
    released: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)

    @property
    def ids(self) -> list[str]:
        return [body["id"] for body in self.bodies]

    @property
    def titles(self) -> list[str]:
        return [body["title"] for body in self.bodies]


@contextmanager
def webhook_sink() -> Iterator[WebhookSink]:
    sink = WebhookSink()
    handler = type("Handler", (_Handler,), {"sink": sink})
    server = _Server(("127.0.0.1", 0), handler)
    sink.url = f"http://127.0.0.1:{server.server_address[1]}/hook/s3cret?token=t0ken"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield sink
    finally:
        sink.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    sink: WebhookSink

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.sink.lock:
            self.sink.bodies.append(body)
            self.sink.headers.append({k.lower(): v for k, v in self.headers.items()})
        self.sink.before_answer()
        if self.sink.status == 0:
            self.sink.released.wait(HANG_SECONDS)
            self.close_connection = True
            return
        self.send_response(self.sink.status)
        if 300 <= self.sink.status < 400:
            self.send_header("location", self.sink.url)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        raise AssertionError("a redirect was followed")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""
