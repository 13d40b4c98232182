"""What the operator chose about alerts: who is told, and by what server. Pages only show it."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from ai_gateway.settings.environment import Environment
from ai_gateway.settings.values import Secret, SettingsError

MOST_RECIPIENTS = 20
SMTP_FORM = "smtp://, smtp+starttls:// or smtps://, then user:password@host:port"

_ADDRESS = re.compile(r"[!-~]{1,64}@[A-Za-z0-9.-]{1,189}", re.ASCII)

MailSecurity = Literal["opportunistic", "starttls", "tls"]
_SCHEMES: Mapping[str, tuple[MailSecurity, int]] = MappingProxyType(
    {"smtp": ("opportunistic", 25), "smtp+starttls": ("starttls", 587), "smtps": ("tls", 465)}
)


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The server that mail goes out by, its sender, and who gets it."""

    host: str
    port: int
    security: MailSecurity
    username: str
    password: Secret | None
    sender: str
    recipients: tuple[str, ...]

    @property
    def is_local(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Without either of both, alerts stand on their page and go nowhere."""

    mail: MailSettings | None
    webhook_url: str | None = field(repr=False)
    webhook_form: Literal["auto", "json", "slack"]


def read_alerts(read: Environment) -> AlertSettings:
    """Raises `SettingsError` for the first variable that is wrong."""
    return AlertSettings(
        mail=_mail(read),
        webhook_url=_webhook(read.url("AI_GATEWAY_ALERT_WEBHOOK_URL", ("http", "https"))),
        webhook_form=read.choice("AI_GATEWAY_ALERT_WEBHOOK_FORM", ("auto", "json", "slack")),
    )


def _mail(read: Environment) -> MailSettings | None:
    """Whom to tell decides: the server may be set for others alone."""
    url = read.text("SMTP_URL")
    sender = read.text("AI_GATEWAY_ALERT_FROM")
    listed = read.text("AI_GATEWAY_ALERT_EMAILS")
    server = _server(url) if url else None
    if sender:
        _check("AI_GATEWAY_ALERT_FROM", sender)
    if listed is None:
        return None
    recipients = tuple(dict.fromkeys(part.strip() for part in listed.split(",")))
    for recipient in recipients:
        _check("AI_GATEWAY_ALERT_EMAILS", recipient)
    if len(recipients) > MOST_RECIPIENTS:
        raise SettingsError(
            f"AI_GATEWAY_ALERT_EMAILS has {len(recipients)} addresses: at most {MOST_RECIPIENTS}"
        )
    if server is None or sender is None:
        missing = "SMTP_URL" if server is None else "AI_GATEWAY_ALERT_FROM"
        raise SettingsError(f"{missing} is needed with AI_GATEWAY_ALERT_EMAILS")
    security, port = _SCHEMES[server.scheme]
    return MailSettings(
        host=server.hostname or "",
        port=server.port or port,
        security=security,
        username=unquote(server.username or ""),
        password=Secret(unquote(server.password)) if server.password else None,
        sender=sender,
        recipients=recipients,
    )


def _server(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        has_more = bool(parts.path.strip("/") or parts.query or parts.fragment)
        is_good = parts.scheme in _SCHEMES and bool(parts.hostname) and not has_more
        is_good = is_good and parts.port != 0
        is_whole = bool(parts.username) == bool(parts.password)
    except ValueError:
        is_good = is_whole = False
    # The value may hold a password, so it is not repeated.
    if not is_good:
        raise SettingsError(f"SMTP_URL is wrong: it has to be {SMTP_FORM}")
    if not is_whole:
        raise SettingsError("SMTP_URL is wrong: a user and a password go together")
    return parts


def _check(name: str, address: str) -> None:
    if not _ADDRESS.fullmatch(address) or any(sign in address for sign in '<>,;:"()[]\\'):
        raise SettingsError(
            f"{name} is wrong: {address!r} is no mail address such as ops@example.com"
        )


def _webhook(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_good = (
            bool(parts.hostname)
            and parts.port != 0
            and url.isascii()
            and url.isprintable()
            and " " not in url
        )
        has_user = parts.username is not None
    except ValueError:
        is_good = has_user = False
    # The rest of the address may be a credential, so it is not repeated.
    if not is_good or has_user:
        raise SettingsError(
            "AI_GATEWAY_ALERT_WEBHOOK_URL is wrong: it has to be https://host/path, without user "
            "and password before the host"
        )
    return url
