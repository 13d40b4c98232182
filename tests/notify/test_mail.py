"""Mail through a real server: what arrives, and what each way of not arriving is called."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from ai_gateway.domain.alerts import AlertKind, Notice, NoticeState
from ai_gateway.notify.channel import TIME_LIMITS, NotSent, TimeLimits
from ai_gateway.notify.mail import MailChannel, MailServer, Security
from tests.notify.sinks import CERTIFICATE, mail_sink
from tests.serve.gateway_process import free_port

OPS, CFO = "ops@example.com", "cfo@example.com"
NOTICE = Notice(
    "0123456789abcdef",
    NoticeState.FIRING,
    AlertKind.BUDGET_REACHED,
    "Budget spent: user zoë, day",
    ("user zoë, day: $5.00 of $5.00 spent (100 %)", "and one more"),
    datetime(2026, 11, 23, 7, 10, tzinfo=UTC),
)


def channel(
    port: int,
    security: Security = "opportunistic",
    password: str = "",
    limits: TimeLimits = TIME_LIMITS,
    **facts: bool,
) -> MailChannel:
    user = "mailer" if password else ""
    server = MailServer("localhost", port, security, user, password, **facts)
    return MailChannel(server, "gateway@example.com", (OPS, CFO), limits)


def failure(sender: MailChannel) -> str:
    with pytest.raises(NotSent) as caught:
        sender.send(NOTICE)
    return str(caught.value)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Path:
    """As an operator trusts a server of one's own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    return CERTIFICATE


def test_one_message_reaches_all_recipients_with_a_name_of_its_own() -> None:
    with mail_sink() as sink:
        assert channel(sink.port).send(NOTICE) == ""
    (mail,) = sink.mails
    assert sink.recipients == [[OPS, CFO]]
    assert mail["Subject"] == "[AI Gateway] Budget spent: user zoë, day"
    assert mail["From"] == "gateway@example.com"
    assert mail["Message-ID"] == "<0123456789abcdef.alert@example.com>"
    assert mail["X-AI-Gateway-Alert-Id"] == NOTICE.id
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOTICE.at
    assert mail.get_content().splitlines() == list(NOTICE.lines)


def test_a_recipient_who_is_refused_keeps_the_mail_from_no_other() -> None:
    with mail_sink() as sink:
        sink.refused = {OPS}
        assert channel(sink.port).send(NOTICE) == f"refused for {OPS}"
        assert sink.recipients == [[CFO]]
        sink.refused = {OPS, CFO}
        assert failure(channel(sink.port)) == "every recipient was refused"
    assert len(sink.mails) == 1


def test_a_server_that_refuses_is_told_by_its_code_alone() -> None:
    with mail_sink() as sink:
        sink.answer = "554 secret words of the server"
        assert failure(channel(sink.port)) == "the server answered 554"


def test_where_nobody_listens_there_is_no_connection() -> None:
    assert failure(channel(free_port())) == "no connection (ConnectionRefusedError)"


def test_a_server_that_hangs_is_left_after_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = channel(silent.getsockname()[1], limits=TimeLimits(answer=0.05))
        assert failure(sender) == "no answer in time"


def test_a_server_that_is_slow_with_every_answer_is_left_after_the_whole_time() -> None:
    with mail_sink() as sink:
        assert failure(channel(sink.port, limits=TimeLimits(total=0.0))) == "no answer in time"
    assert sink.mails == []


def test_a_server_that_hangs_up_is_no_success() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            taken, _ = server.accept()
            taken.close()

        thread = Thread(target=hang_up)
        thread.start()
        told = failure(channel(server.getsockname()[1]))
        thread.join()
    assert told in {"the server hung up", "no connection (ConnectionResetError)"}


@pytest.mark.parametrize(
    ("served", "security"),
    [("tls", "tls"), ("starttls", "starttls"), ("starttls", "opportunistic")],
)
def test_tls_is_spoken_and_the_password_goes_inside(
    trusted: Path, served: str, security: Security
) -> None:
    with mail_sink(security=served, wants_password=True) as sink:
        assert channel(sink.port, security, "p@ss").send(NOTICE) == ""
    assert sink.logins == [("mailer", "p@ss")]
    assert len(sink.mails) == 1


@pytest.mark.parametrize(("served", "security"), [("tls", "tls"), ("starttls", "opportunistic")])
def test_a_certificate_that_nobody_knows_ends_it(served: str, security: Security) -> None:
    with mail_sink(security=served) as sink:
        assert failure(channel(sink.port, security)) == (
            "its certificate is not trusted, or TLS failed"
        )
    assert sink.mails == []


def test_starttls_is_insisted_on() -> None:
    with mail_sink() as sink:
        assert failure(channel(sink.port, "starttls")) == "the server offers no STARTTLS"


def test_a_password_goes_nowhere_without_tls_but_to_this_machine() -> None:
    with mail_sink(wants_password=True) as sink:
        told = failure(channel(sink.port, password="p@ss"))
        assert told == "the server offers no TLS, and a password goes nowhere without it"
        assert sink.logins == []
        channel(sink.port, password="p@ss", is_local=True).send(NOTICE)
    assert len(sink.mails) == 1


def test_a_wrong_password_is_called_so_and_is_not_told() -> None:
    with mail_sink(wants_password=True) as sink:
        told = failure(channel(sink.port, password="wr0ng", is_local=True))
    assert told == "the server refused the password (535)"


def test_where_it_goes_is_told_without_user_and_password() -> None:
    target = channel(2525, password="p@ss").target
    assert target == f"{OPS}, {CFO} through localhost:2525"
