"""Messages by mail, to all recipients in one, through the operator's own SMTP server."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from socket import gethostname
from time import monotonic
from typing import Literal

from ai_gateway.domain.alerts import Notice
from ai_gateway.notify.channel import TIME_LIMITS, NotSent, TimeLimits

FAREWELL_SECONDS = 2.0

Security = Literal["opportunistic", "starttls", "tls"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes out. `tls` speaks TLS from the first byte, `starttls` insists on it later,
    `opportunistic` takes it where it is offered, and sends no password without it.
    """

    host: str
    port: int
    security: Security
    username: str = ""
    password: str = field(default="", repr=False)
    is_local: bool = False


class MailChannel:
    """One message to everybody who is named."""

    name = "email"

    def __init__(
        self,
        server: MailServer,
        sender: str,
        recipients: tuple[str, ...],
        limits: TimeLimits = TIME_LIMITS,
    ) -> None:
        self._limits = limits
        self._server = server
        self._sender = sender
        self._recipients = recipients
        self.target = f"{', '.join(recipients)} through {server.host}:{server.port}"

    def send(self, notice: Notice) -> str:
        text = self._message(notice).as_bytes(policy=SMTP_POLICY)
        with _translated_errors():
            refused = self._deliver(text)
        if len(refused) == len(self._recipients):
            raise NotSent("every recipient was refused")
        return f"refused for {', '.join(refused)}" if refused else ""

    def _deliver(self, text: bytes) -> list[str]:
        """Hand the message over; gives the recipients whom the server refused."""
        hurry = _Hurry(self._limits)
        with _connected(self._server, self._limits.answer) as smtp:
            hurry.limit(smtp)
            _secured(smtp, self._server)
            if self._server.username:
                hurry.limit(smtp)
                smtp.login(self._server.username, self._server.password)
            hurry.limit(smtp)
            _expect(smtp.mail(self._sender))
            refused = []
            for recipient in self._recipients:
                hurry.limit(smtp)
                code, _ = smtp.rcpt(recipient)
                if code not in {250, 251}:
                    refused.append(recipient)
            if len(refused) < len(self._recipients):
                hurry.limit(smtp)
                _expect(smtp.data(text))
            _take_leave(smtp)
        return refused

    def _message(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = f"[AI Gateway] {notice.title}"
        message["From"] = self._sender
        message["To"] = ", ".join(self._recipients)
        message["Date"] = format_datetime(notice.at)
        message["Message-ID"] = f"<{notice.id}.alert@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message["X-AI-Gateway-Alert-Id"] = notice.id
        message.set_content("\n".join(notice.lines) + "\n")
        return message


class _Hurry:
    """The time that is left of the whole, as the limit of the next answer."""

    def __init__(self, limits: TimeLimits) -> None:
        self._ends_at = monotonic() + limits.total
        self._answer = limits.answer

    def limit(self, smtp: smtplib.SMTP) -> None:
        left = self._ends_at - monotonic()
        if left <= 0 or smtp.sock is None:
            raise TimeoutError
        smtp.sock.settimeout(min(left, self._answer))


@contextmanager
def _connected(server: MailServer, seconds: float) -> Iterator[smtplib.SMTP]:
    # Left to itself the library asks the DNS for our name, which may take long.
    name = gethostname()
    smtp: smtplib.SMTP
    if server.security == "tls":
        context = ssl.create_default_context()
        smtp = smtplib.SMTP_SSL(server.host, server.port, name, timeout=seconds, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, name, timeout=seconds)
    try:
        yield smtp
    finally:
        smtp.close()


def _take_leave(smtp: smtplib.SMTP) -> None:
    """It has the message: a farewell that fails changes nothing."""
    with suppress(smtplib.SMTPException, OSError):
        if smtp.sock is not None:
            smtp.sock.settimeout(FAREWELL_SECONDS)
        smtp.docmd("QUIT")


def _secured(smtp: smtplib.SMTP, server: MailServer) -> None:
    """Begin TLS where it is wanted; raises `NotSent` rather than go without."""
    smtp.ehlo_or_helo_if_needed()
    if server.security == "tls":
        return
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo()
    elif server.security == "starttls":
        raise NotSent("the server offers no STARTTLS")
    elif server.username and not server.is_local:
        raise NotSent("the server offers no TLS, and a password goes nowhere without it")


def _expect(answer: tuple[int, bytes]) -> None:
    code, _ = answer
    if code != 250:
        raise NotSent(f"the server answered {code}")


@contextmanager
def _translated_errors() -> Iterator[None]:
    """The server's own words may have anything in them, so only its code is told."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise NotSent(f"the server refused the password ({error.smtp_code})") from error
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"the server answered {error.smtp_code}") from error
    except smtplib.SMTPServerDisconnected as error:
        is_late = isinstance(error.__context__, TimeoutError)
        raise NotSent("no answer in time" if is_late else "the server hung up") from error
    except smtplib.SMTPException as error:
        raise NotSent(f"the server could not be used ({type(error).__name__})") from error
    except ssl.SSLError as error:
        raise NotSent("its certificate is not trusted, or TLS failed") from error
    except TimeoutError as error:
        raise NotSent("no answer in time") from error
    except OSError as error:
        raise NotSent(f"no connection ({type(error).__name__})") from error
