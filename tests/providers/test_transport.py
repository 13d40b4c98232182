"""The only place that opens a socket to a provider, against a real socket."""

import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import pytest

from ai_gateway.errors import UpstreamTimeout, UpstreamUnavailable
from ai_gateway.providers.connections import read_address
from ai_gateway.providers.dialect import UpstreamRequest
from ai_gateway.providers.transport import JOINED_BYTES, TimeLimits, Transport, UpstreamResponse
from tests.providers.upstream import (
    LAST_CHUNK,
    TIMEOUT_SECONDS,
    Connection,
    Script,
    chunk,
    chunked_head,
    upstream,
    whole,
)

BODY = b'{"model":"our-model"}'


def request(url: str, *, is_streamed: bool = True) -> UpstreamRequest:
    headers = {"authorization": "Bearer sk-lab"}
    return UpstreamRequest("lab", url, headers, BODY, is_streamed=is_streamed)


def answering(*answers: bytes) -> Script:
    """One request, then one answer, over and over on the same connection."""

    def run(connection: Connection) -> None:
        for answer in answers:
            connection.take_request()
            connection.send(answer)
        connection.wait_for_end()

    return run


def closing_after(*parts: bytes) -> Script:
    """Take a request, send what there is, and hang up."""

    def run(connection: Connection) -> None:
        connection.take_request()
        connection.send(*parts)

    return run


def read_to_end(response: UpstreamResponse) -> bytes:
    try:
        return response.read_all()
    finally:
        response.close()


def test_request_is_sent_once_as_it_is() -> None:
    with upstream(answering(whole())) as provider:
        url = provider.url(path="/v1/x?y=1")
        assert read_to_end(Transport().send(request(url))) == b"{}"
        port = provider.port
    (seen,) = provider.seen
    assert seen.line == "POST /v1/x?y=1 HTTP/1.1"
    assert seen.body == BODY
    assert seen.headers == {
        "host": f"127.0.0.1:{port}",
        "accept-encoding": "identity",
        "authorization": "Bearer sk-lab",
        "content-length": str(len(BODY)),
        "content-type": "application/json",
        "user-agent": "ai-gateway",
    }


def test_status_and_headers_of_the_answer_are_told() -> None:
    answer = whole(b"no", "429 Too Many Requests", "Retry-After: 7\r\n")
    with upstream(answering(answer)) as provider:
        response = Transport().send(request(provider.url()))
        assert response.status == 429
        assert response.headers["retry-after"] == "7"
        assert read_to_end(response) == b"no"


def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with upstream(answering(whole())) as provider:
        assert read_to_end(Transport().send(request(provider.url()))) == b"{}"


# What was not sent, and what may have been


def test_refused_connection_was_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UpstreamUnavailable) as caught:
        Transport().send(request(f"http://127.0.0.1:{port}/"))
    assert (caught.value.was_sent, caught.value.status) == (False, None)


def test_call_that_fails_in_the_handshake_was_not_sent() -> None:
    def no_tls(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.wait_for_end()

    with upstream(no_tls) as provider, pytest.raises(UpstreamUnavailable) as caught:
        Transport().send(request(provider.url("https")))
    assert caught.value.was_sent is False


@pytest.mark.parametrize(
    ("part", "is_invalid"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"HTTP/1.1 2", True, id="half a line"),
        pytest.param(b"SSH-2.0-server\r\n", True, id="another protocol"),
    ],
)
def test_call_that_got_no_answer_may_have_been_seen(part: bytes, *, is_invalid: bool) -> None:
    with upstream(closing_after(part)) as provider, pytest.raises(UpstreamUnavailable) as caught:
        read_to_end(Transport().send(request(provider.url())))
    assert (caught.value.was_sent, caught.value.is_invalid) == (True, is_invalid)
    assert len(provider.seen) == 1


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key and certificate of 127.0.0.1 that this process trusts."""
    both = tmp_path / "both.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    made += ["-nodes", "-subj", "/CN=lab", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, "-keyout", both, "-out", both], check=True, capture_output=True)
    certificate = subprocess.run(
        ["openssl", "x509", "-in", both], check=True, capture_output=True
    ).stdout
    (tmp_path / "trusted.pem").write_bytes(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    key = subprocess.run(["openssl", "pkey", "-in", both], check=True, capture_output=True).stdout
    both.write_bytes(key + certificate)
    return both


def over_tls(both: Path, script: Script) -> Script:
    def run(connection: Connection) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        connection.start_tls(context)
        script(connection)

    return run


@pytest.mark.openssl
def test_tls_is_spoken_and_its_connection_used_again(trusted: Path) -> None:
    streamed = chunked_head() + chunk(b"data: a\n\n") + LAST_CHUNK
    with upstream(over_tls(trusted, answering(whole(), streamed))) as provider:
        once = Transport()
        assert read_to_end(once.send(request(provider.url("https")))) == b"{}"
        assert read_to_end(once.send(request(provider.url("https")))) == b"data: a\n\n"
    assert (provider.connections, len(provider.seen)) == (1, 2)


@pytest.mark.openssl
def test_tls_reader_is_woken_by_an_interrupt(trusted: Path) -> None:
    with upstream(over_tls(trusted, blocked)) as provider:
        response = Transport().send(request(provider.url("https")))
        assert response.read_some() == b"data: a\n\n"
        assert ends_of_a_read(response, response.interrupt) == [True]


@pytest.mark.openssl
def test_call_to_a_certificate_that_nobody_vouches_for_was_not_sent(
    trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with (
        upstream(over_tls(trusted, answering(whole()))) as provider,
        pytest.raises(UpstreamUnavailable) as caught,
    ):
        Transport().send(request(provider.url("https")))
    assert (caught.value.was_sent, len(provider.seen)) == (False, 0)


# Time limits


def silent(connection: Connection) -> None:
    connection.wait_for_end()


SHORT = TimeLimits(connect=0.05, stream=0.05, whole_answer=0.05)


def test_handshake_that_takes_too_long_was_not_sent() -> None:
    with upstream(silent) as provider, pytest.raises(UpstreamUnavailable) as caught:
        Transport(SHORT).send(request(provider.url("https")))
    assert caught.value.was_sent is False


@pytest.mark.parametrize("is_streamed", [True, False])
def test_silence_before_the_answer_is_a_timeout(*, is_streamed: bool) -> None:
    with upstream(silent) as provider, pytest.raises(UpstreamTimeout) as caught:
        Transport(SHORT).send(request(provider.url(), is_streamed=is_streamed))
    assert caught.value.provider == "lab"


def test_silence_within_a_stream_is_a_timeout() -> None:
    with upstream(blocked) as provider:
        response = Transport(TimeLimits(stream=0.3)).send(request(provider.url()))
        assert response.read_some() == b"data: a\n\n"
        with pytest.raises(UpstreamTimeout):
            response.read_some()
        response.close()


def test_name_that_nobody_knows_was_not_sent() -> None:
    # Too long for a name, so that nobody is asked.
    with pytest.raises(UpstreamUnavailable) as caught:
        Transport().send(request(f"http://{'x' * 64}.test/"))
    assert caught.value.was_sent is False


# What is written


@pytest.mark.parametrize("size", [JOINED_BYTES, JOINED_BYTES + 1, 2**21])
def test_body_of_any_size_arrives_whole(size: int) -> None:
    body = bytes(size)
    with upstream(answering(whole())) as provider:
        sent = UpstreamRequest("lab", provider.url(), {}, body, is_streamed=False)
        assert read_to_end(Transport().send(sent)) == b"{}"
    assert provider.seen[0].body == body


@pytest.mark.parametrize("value", ["a\r\nx: b", "a\nb", "a\rb", "a\0b"])
def test_header_that_would_break_its_line_is_never_sent(value: str) -> None:
    with upstream() as provider:
        sent = UpstreamRequest("lab", provider.url(), {"x-beta": value}, b"", is_streamed=False)
        with pytest.raises(ValueError, match="line break"):
            Transport().send(sent)
    assert provider.connections == 0


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://lab.test", "lab.test", "/"),
        ("https://lab.test:8443/v1/x?y=1&z=%20", "lab.test:8443", "/v1/x?y=1&z=%20"),
        ("http://user:word@lab.test/v1", "lab.test", "/v1"),
        ("http://[::1]:80/a b", "[::1]:80", "/a%20b"),
        ("http://lab.test/a\x7f/\u00e9", "lab.test", "/a%7F/%C3%A9"),
    ],
)
def test_address_is_asked_for_as_it_is_written(url: str, host: str, target: str) -> None:
    address = read_address(url)
    assert (address.host_header, address.target) == (host, target)


@pytest.mark.parametrize("url", ["", "lab.test/v1", "ftp://lab.test/", "http:///v1"])
def test_address_of_something_else_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        read_address(url)


# Answers that are none


def test_redirect_is_not_followed() -> None:
    def redirecting(connection: Connection) -> None:
        connection.take_request()
        connection.send(whole(b"", "302 Found", "location: /elsewhere\r\n"))
        assert connection.wait_for_end() == b""

    with upstream(redirecting, redirecting) as provider:
        response = Transport().send(request(provider.url()))
        assert response.status == 302
        response.close()
    assert len(provider.seen) == provider.connections == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x"])
def test_compressed_answer_is_refused(encoding: str) -> None:
    answer = whole(b"\x1f\x8b", headers=f"content-encoding: {encoding}\r\n")
    with upstream(answering(answer)) as provider, pytest.raises(UpstreamUnavailable) as caught:
        Transport().send(request(provider.url()))
    assert (caught.value.was_sent, caught.value.is_invalid) == (True, True)


def test_answer_that_names_identity_is_taken() -> None:
    with upstream(answering(whole(headers="content-encoding: identity\r\n"))) as provider:
        assert read_to_end(Transport().send(request(provider.url()))) == b"{}"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((chunked_head(), chunk(b"data: a\n\n")), id="no last chunk"),
        pytest.param((chunked_head(), b"ff\r\ndata"), id="within a chunk"),
        pytest.param((chunked_head(), chunk(b"a"), b"zz\r\n"), id="no length"),
        pytest.param((whole(b"{}" * 9)[:-3],), id="short of its length"),
    ],
)
def test_answer_that_breaks_off_is_noticed(parts: tuple[bytes, ...]) -> None:
    with upstream(closing_after(*parts)) as provider:
        response = Transport().send(request(provider.url()))
        with pytest.raises(UpstreamUnavailable) as caught:
            read_to_end(response)
    assert (caught.value.was_sent, caught.value.is_invalid) == (True, False)
    assert response.tells_its_end


def test_answer_without_a_length_ends_with_the_connection() -> None:
    with upstream(closing_after(b"HTTP/1.1 200 OK\r\n\r\n", b"{}")) as provider:
        assert read_to_end(Transport().send(request(provider.url()))) == b"{}"


def test_answer_that_never_ends_is_given_up() -> None:
    def flooding(connection: Connection) -> None:
        connection.take_request()
        connection.send(chunked_head())
        while True:
            connection.send(chunk(b"x" * 2**20))

    with upstream(flooding) as provider:
        response = Transport().send(request(provider.url(), is_streamed=False))
        with pytest.raises(UpstreamUnavailable):
            read_to_end(response)


# Streams


def test_read_gives_what_has_arrived_without_waiting_for_more() -> None:
    go_on = Event()

    def pausing(connection: Connection) -> None:
        connection.take_request()
        connection.send(chunked_head(), chunk(b"data: a\n\n"))
        assert go_on.wait(TIMEOUT_SECONDS)
        connection.send(chunk(b"data: b\n\n"), LAST_CHUNK)
        connection.wait_for_end()

    with upstream(pausing) as provider:
        response = Transport().send(request(provider.url()))
        assert response.read_some() == b"data: a\n\n"
        go_on.set()
        assert response.read_some() == b"data: b\n\n"
        assert response.read_some() == b""
        response.close()


def test_read_that_waits_for_a_while_is_no_end() -> None:
    go_on = Event()

    def pausing(connection: Connection) -> None:
        connection.take_request()
        connection.send(chunked_head(), b"1")  # a length that is not whole yet
        assert go_on.wait(TIMEOUT_SECONDS)
        connection.send(b"\r\na\r\n", LAST_CHUNK)
        connection.wait_for_end()

    with upstream(pausing) as provider:
        response = Transport().send(request(provider.url()))
        assert [response.read_within(0.01) for _ in range(3)] == [None] * 3
        assert response.read_within(-1) is None
        go_on.set()
        assert (response.read_some(), response.read_some()) == (b"a", b"")
        response.close()


def test_silence_is_one_however_often_it_is_looked() -> None:
    with upstream(blocked) as provider:
        response = Transport(TimeLimits(stream=0.3)).send(request(provider.url()))
        assert response.read_within(TIMEOUT_SECONDS) == b"data: a\n\n"
        with pytest.raises(UpstreamTimeout):
            list(iter(lambda: response.read_within(0.05), b""))
        response.close()


def blocked(connection: Connection) -> None:
    """A provider that says no more."""
    connection.take_request()
    connection.send(chunked_head(), chunk(b"data: a\n\n"))
    connection.wait_for_end()


def ends_of_a_read(response: UpstreamResponse, interrupt: Callable[[], None]) -> list[object]:
    """How a read ends that waits while it is interrupted."""
    is_reading = Event()
    ends: list[object] = []

    def read_on() -> None:
        is_reading.set()
        try:
            ends.append(response.read_some())
        except UpstreamUnavailable as error:
            ends.append(error.was_sent)

    reader = Thread(target=read_on, daemon=True)
    reader.start()
    assert is_reading.wait(TIMEOUT_SECONDS)
    interrupt()
    reader.join(TIMEOUT_SECONDS)
    response.close()
    return ends


def test_interrupt_wakes_a_reader_that_waits() -> None:
    with upstream(blocked) as provider:
        response = Transport().send(request(provider.url()))
        assert response.read_some() == b"data: a\n\n"
        assert ends_of_a_read(response, response.interrupt) == [True]


def test_interrupt_before_the_read_ends_it_too() -> None:
    with upstream(blocked) as provider:
        response = Transport().send(request(provider.url()))
        response.read_some()
        response.interrupt()
        response.interrupt()
        with pytest.raises(UpstreamUnavailable):
            response.read_some()
        response.close()


def test_interrupt_ends_a_read_of_what_had_arrived_already() -> None:
    with upstream(closing_after(chunked_head(), chunk(b"a"), chunk(b"b"), LAST_CHUNK)) as provider:
        response = Transport().send(request(provider.url()))
        assert response.read_some() in {b"a", b"ab"}
        response.interrupt()
        with pytest.raises(UpstreamUnavailable):
            response.read_some()
        response.close()


@pytest.mark.parametrize("end", [UpstreamResponse.interrupt, UpstreamResponse.close])
def test_answer_that_is_over_may_be_interrupted_and_closed_again(
    end: Callable[[UpstreamResponse], None],
) -> None:
    with upstream(answering(whole())) as provider:
        response = Transport().send(request(provider.url()))
        read_to_end(response)
        end(response)
        end(response)


# Connections


def test_connection_is_used_again_when_its_answer_was_read_to_the_end() -> None:
    streamed = chunked_head() + chunk(b"data: a\n\n") + LAST_CHUNK
    with upstream(answering(whole(), streamed, whole())) as provider:
        once = Transport()
        for _ in range(3):
            read_to_end(once.send(request(provider.url())))
    assert (provider.connections, len(provider.seen)) == (1, 3)


def test_connection_is_not_used_again_while_something_is_left_on_it() -> None:
    streamed = chunked_head() + chunk(b"data: a\n\n") + chunk(b"data: [DONE]\n\n") + LAST_CHUNK
    with upstream(answering(streamed), answering(whole())) as provider:
        once = Transport()
        first = once.send(request(provider.url()))
        assert first.read_some()
        first.close()
        assert read_to_end(once.send(request(provider.url()))) == b"{}"
    assert (provider.connections, len(provider.seen)) == (2, 2)


def test_connection_that_was_interrupted_is_not_used_again() -> None:
    with upstream(blocked, answering(whole())) as provider:
        once = Transport()
        first = once.send(request(provider.url()))
        first.read_some()
        first.interrupt()
        with pytest.raises(UpstreamUnavailable):
            first.read_some()
        first.close()
        assert read_to_end(once.send(request(provider.url()))) == b"{}"
    assert provider.connections == 2


def test_nothing_is_sent_twice_when_a_kept_connection_is_closed_on_the_request() -> None:
    def closing_on_the_second(connection: Connection) -> None:
        connection.take_request()
        connection.send(whole())
        connection.take_request()

    with upstream(closing_on_the_second, answering(whole())) as provider:
        once = Transport()
        read_to_end(once.send(request(provider.url())))
        with pytest.raises(UpstreamUnavailable) as caught:
            once.send(request(provider.url()))
    assert caught.value.was_sent is True
    assert (provider.connections, len(provider.seen)) == (1, 2)


def test_kept_connection_that_is_gone_is_replaced_before_anything_is_sent() -> None:
    is_closed = Event()

    def closing_when_idle(connection: Connection) -> None:
        connection.take_request()
        connection.send(whole())
        connection.close()
        is_closed.set()

    with upstream(closing_when_idle, answering(whole(b"[]"))) as provider:
        once = Transport()
        read_to_end(once.send(request(provider.url())))
        assert is_closed.wait(TIMEOUT_SECONDS)
        assert read_to_end(once.send(request(provider.url()))) == b"[]"
    assert (provider.connections, len(provider.seen)) == (2, 2)


def test_error_of_the_transport_shows_no_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UpstreamUnavailable) as caught:
        Transport().send(request(f"http://127.0.0.1:{port}/"))
    assert str(caught.value) == "lab"
