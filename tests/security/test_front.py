"""S1 to S9 and what else is for nginx to stop: the configuration that we ship, before a gateway."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ai_gateway.services.relay import PING, PING_SECONDS
from tests.running import RunningGateway
from tests.security.front import (
    NAME,
    SHIPPED,
    Front,
    Upstream,
    heard,
    make_certificate,
    running_front,
    running_upstream,
    status_of,
)

pytestmark = [pytest.mark.nginx, pytest.mark.openssl]

SHORT = {
    "client_header_timeout 10s": "client_header_timeout 1s",
    "client_body_timeout 10s": "client_body_timeout 1s",
    "send_timeout 30s": "send_timeout 1s",
}
POST = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {NAME}\r\n"
GET = f"GET /health/live HTTP/1.1\r\nHost: {NAME}\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

REFUSED: dict[str, tuple[set[int], str]] = {
    "S1 length and chunks": (
        {400},
        POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    "S1 chunks and length": (
        {400},
        POST + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    "S1 two lengths": ({400}, POST + "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello"),
    "S1 signed length": ({400}, POST + "Content-Length: +5\r\n\r\nhello"),
    "S1 hexadecimal length": ({400}, POST + "Content-Length: 0x5\r\n\r\nhello"),
    "S2 unknown coding": ({400, 501}, POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "S2 two codings": ({400, 501}, POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "S2 chunks of HTTP/1.0": ({400}, CHUNKED.replace("HTTP/1.1", "HTTP/1.0") + "0\r\n\r\n"),
    "S3 space before the colon": ({400}, GET + "X-Header : 1\r\n\r\n"),
    "S3 folded line": ({400}, GET + "X-Header: 1\r\n folded\r\n\r\n"),
    "S3 NUL": ({400}, GET + "X-Header: a\0b\r\n\r\n"),
    "S4 size of a chunk": ({400}, CHUNKED + "zz\r\nhello\r\n0\r\n\r\n"),
    "S4 chunk too large to count": ({400, 413}, CHUNKED + "f" * 17 + "\r\nhello\r\n0\r\n\r\n"),
    "S5 no host": ({400}, "GET /health/live HTTP/1.1\r\n\r\n"),
    "S5 two hosts": ({400}, GET + "Host: other.example\r\n\r\n"),
    "S5 unknown host": ({421}, "GET /health/live HTTP/1.1\r\nHost: other.example\r\n\r\n"),
    "S5 unknown host in the address": (
        {400, 421},
        f"GET https://other.example/health/live HTTP/1.1\r\nHost: {NAME}\r\n\r\n",
    ),
    "S7 many headers": ({400, 431}, GET + "".join(f"X-{n}: 1\r\n" for n in range(101)) + "\r\n"),
    "S7 long header": ({400, 431}, GET + f"X-Header: {'x' * 9000}\r\n\r\n"),
    "S7 long address": ({400, 414}, f"GET /{'x' * 9000} HTTP/1.1\r\nHost: {NAME}\r\n\r\n"),
    "S11 stated length of 22 MB": ({413}, POST + f"Content-Length: {22 * 2**20}\r\n\r\n"),
    "S43 TRACE": ({405}, GET.replace("GET", "TRACE") + "\r\n"),
    "S44 metrics": ({404}, GET.replace("/health/live", "/metrics") + "\r\n"),
    "S44 metrics written otherwise": (
        {404},
        GET.replace("/health/live", "/a/..//%6detrics") + "\r\n",
    ),
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def front(gateway: RunningGateway, certificate: Path) -> Iterator[Front]:
    with running_front(gateway.port, certificate) as running:
        yield running


def test_what_two_servers_could_read_differently_is_refused(front: Front) -> None:
    problems = []
    for name, (statuses, request) in REFUSED.items():
        answer = front.say(request.replace("\r\n", "\r\nConnection: close\r\n", 1).encode())
        if status_of(answer) not in statuses:
            problems.append((name, answer[:200]))
    assert problems == []


def test_nothing_that_comes_after_a_refused_request_is_answered(front: Front) -> None:
    smuggled = GET + "\r\n"
    for name, (_, request) in REFUSED.items():
        if name[:3] in {"S1 ", "S2 ", "S3 ", "S4 "}:
            assert front.say((request + smuggled).encode()).count(b"HTTP/1.1 ") == 1, name


def test_only_the_name_of_the_gateway_is_served(front: Front) -> None:
    assert status_of(front.get("/health/live")) == 200
    with pytest.raises(OSError, match="UNRECOGNIZED_NAME"):
        front.say(GET.encode() + b"\r\n", server_name="other.example")


@pytest.mark.parametrize(
    ("path", "status"), [("/login", 301), ("/v1/models", 403), ("/openai/v1/models", 403)]
)
def test_over_plain_http_people_are_led_on_and_keys_are_refused(
    front: Front, path: str, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", front.plain_port), timeout=20) as connection:
        request = f"GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        assert status_of(heard(connection)) == status


def test_a_client_says_nothing_of_addresses_names_and_keys_that_it_may_not(
    certificate: Path,
) -> None:
    upstream = Upstream()
    lies = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Ssl": "off",
        "X-Forwarded-Protocol": "lies",
        "X-Forwarded-Host": "lies.example",
        "X-Forwarded-Prefix": "/lies",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "Proxy": "http://203.0.113.9",
        "X_Api_Key": "203.0.113.9",
        "SCRIPT_NAME": "/lies",
        "Keep-Alive": "lies",
    }
    with running_upstream(upstream) as port, running_front(port, certificate) as front:
        answer = front.get("/any", "".join(f"{name}: {text}\r\n" for name, text in lies.items()))
    assert status_of(answer) == 200
    (head,) = upstream.heads
    sent = head.decode().lower().split("\r\n")
    assert "203.0.113.9" not in head.decode()
    assert {"x-forwarded-for: 127.0.0.1", "x-forwarded-proto: https", f"host: {NAME}"} <= set(sent)
    assert not any("lies" in line for line in sent)


@pytest.fixture(scope="module")
def endless() -> Upstream:
    """Sends for as long as anybody takes it."""
    head = b"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nConnection: close\r\n\r\n"
    return Upstream(answer=head, more=b"x" * 65536)


@pytest.fixture(scope="module")
def impatient(certificate: Path, endless: Upstream) -> Iterator[Front]:
    """With a second in the place of ten and thirty."""
    with running_upstream(endless) as port, running_front(port, certificate, SHORT) as running:
        yield running


def test_who_sends_slowly_is_hung_up_on_and_never_reaches_the_gateway(
    impatient: Front, endless: Upstream
) -> None:
    before = len(endless.heads)
    beginnings = [GET + "X-", POST + "Content-Length: 100\r\n\r\nhello"] * 10
    slow = [impatient.connect() for _ in beginnings]
    for connection, beginning in zip(slow, beginnings, strict=True):
        connection.sendall(beginning.encode())
    for connection in slow:
        with closing(connection):
            assert status_of(heard(connection)) in {0, 408}
    assert len(endless.heads) == before


def test_who_does_not_read_is_hung_up_on_and_little_waits_for_them(
    impatient: Front, endless: Upstream
) -> None:
    with closing(impatient.connect()) as connection:
        connection.sendall(GET.encode() + b"\r\n")
        assert endless.ended.wait(20), "it is still sent to"
    # What the kernel and nginx held: some MB of socket buffers at the most.
    assert 0 < endless.sent < 32 * 2**20


def test_an_event_passes_while_the_answer_is_still_open(certificate: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"
    upstream = Upstream(answer=head + b"Transfer-Encoding: chunked\r\n\r\n8\r\n" + PING + b"\r\n")
    with (
        running_upstream(upstream) as port,
        running_front(port, certificate) as front,
        closing(front.connect()) as connection,
    ):
        connection.sendall(POST.encode() + b"Content-Length: 2\r\n\r\n{}")
        received = b""
        while PING not in received:
            part = connection.recv(65536)
            assert part, received
            received += part
        assert not upstream.ended.is_set()
        upstream.may_end.set()


def test_a_stream_of_the_gateway_begins_before_it_has_ended(
    front: Front, gateway: RunningGateway
) -> None:
    key = gateway.make_key()
    message = {"role": "user", "content": "[[tokens=4]] [[silence=8000]]"}
    body = json.dumps({"model": "gpt-4o-mini", "messages": [message], "stream": True})
    head = POST + f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    with closing(front.connect()) as connection:
        connection.sendall((head + body).encode())
        received = b""
        while b"Hello" not in received:
            part = connection.recv(65536)
            assert part, received
            received += part
    assert status_of(received) == 200
    assert b"[DONE]" not in received


def test_log_ins_from_one_address_are_few(front: Front) -> None:
    statuses = [status_of(front.get("/login", method="POST")) for _ in range(13)]
    assert statuses[0] == 400  # it has no token
    assert 429 in statuses
    assert status_of(front.get("/login")) == 200


def test_no_log_has_what_was_in_a_query_or_a_header(front: Front) -> None:
    secret = "agw_canary_of_the_front"
    front.get(f"/v1/models?api_key={secret}", f"x-api-key: {secret}\r\nReferer: {secret}\r\n")
    front.say(f"GET /{secret * 600}?{secret} HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
    front.get("/health/live?forged=%0a", 'User-Agent: "}\r\n')
    lines = [json.loads(line) for line in front.logs().splitlines()]
    assert ("/v1/models", 401) in {(line["path"], line["status"]) for line in lines}
    assert secret not in front.logs()


def test_only_known_proxies_say_that_a_browser_speaks_tls(tmp_path: Path) -> None:
    """Gunicorn takes the scheme from those alone; the application has no other way to it."""
    project = SHIPPED.parents[1]
    command = [sys.executable, "-m", "gunicorn", "-c", str(project / "gunicorn.conf.py")]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHON_DOTENV_DISABLED": "1",
        "AI_GATEWAY_DATA_DIR": str(tmp_path),
        "AI_GATEWAY_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8",
    }
    done = subprocess.run(
        [*command, "--print-config", "wsgiref.simple_server:demo_app"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("forwarded_allow_ips")]
    assert re.findall(r"[\d./]{7,}", line) == ["127.0.0.1/32", "10.0.0.0/8"]


def test_http_2_has_few_streams_at_once_and_bounded_headers(front: Front) -> None:
    with closing(front.connect("h2")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        received = b""
        while len(received) < 9 or len(received) < 9 + int.from_bytes(received[:3]):
            part = connection.recv(65536)
            assert part, received
            received += part
    assert received[3] == 4, "the first frame has the settings"
    pairs = received[9 : 9 + int.from_bytes(received[:3])]
    settings = dict(struct.iter_unpack(">HI", pairs))
    assert settings[3] == 64  # RFC 9113, 6.5.2: streams at once
    assert "large_client_header_buffers 4 8k;" in SHIPPED.read_text()
    assert "keepalive_requests 1000;" in SHIPPED.read_text()


def test_the_times_leave_the_gateway_the_last_word(front: Front) -> None:
    """Nginx waits longer than the gateway does, and a ping comes well within what it waits."""
    text = SHIPPED.read_text()
    assert "proxy_read_timeout 660s;" in text
    assert PING_SECONDS < 660
    assert "proxy_next_upstream off;" in text
