"""Where alerts go: each wrong value stops the start in one line that tells no secret."""

import pytest

from ai_gateway.settings import MailSettings, Secret, SettingsError, read_settings

MAIL = {
    "SMTP_URL": "smtp+starttls://mail%20er:p%40ss@mail.example.com",
    "AI_GATEWAY_ALERT_FROM": "gateway@example.com",
    "AI_GATEWAY_ALERT_EMAILS": "ops@example.com, cfo@example.com,ops@example.com",
}
HOOK = "https://hooks.example.com/T0/s3cret?token=t0ken"


def refusal(env: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(env)
    told = str(caught.value)
    assert "\n" not in told
    for secret in ("p%40ss", "p@ss", "s3cret", "t0ken"):
        assert secret not in told
    return told


def test_without_a_variable_nobody_is_told() -> None:
    alerts = read_settings({}).alerts
    assert (alerts.mail, alerts.webhook_url, alerts.webhook_form) == (None, None, "auto")


def test_mail_is_read_whole() -> None:
    assert read_settings(MAIL).alerts.mail == MailSettings(
        host="mail.example.com",
        port=587,
        security="starttls",
        username="mail er",
        password=Secret("p@ss"),
        sender="gateway@example.com",
        recipients=("ops@example.com", "cfo@example.com"),
    )


@pytest.mark.parametrize(
    ("url", "security", "port", "is_local"),
    [
        ("smtp://localhost", "opportunistic", 25, True),
        ("smtp://127.0.0.1:2525/", "opportunistic", 2525, True),
        ("smtps://mail.example.com", "tls", 465, False),
        ("smtps://u:p@[::1]:4650", "tls", 4650, True),
        ("SMTP://10.0.0.9", "opportunistic", 25, False),
    ],
)
def test_the_scheme_says_how_it_is_secured(
    url: str, security: str, port: int, *, is_local: bool
) -> None:
    mail = read_settings({**MAIL, "SMTP_URL": url}).alerts.mail
    assert mail is not None
    assert (mail.security, mail.port, mail.is_local) == (security, port, is_local)


def test_a_server_that_is_there_for_others_alone_does_no_harm() -> None:
    assert read_settings({"SMTP_URL": MAIL["SMTP_URL"]}).alerts.mail is None


def test_nothing_secret_is_printed() -> None:
    text = repr(read_settings({**MAIL, "AI_GATEWAY_ALERT_WEBHOOK_URL": HOOK}))
    for secret in ("p@ss", "p%40ss", "s3cret", "t0ken"):
        assert secret not in text


WRONG = {
    "another scheme": ("SMTP_URL", "http://u:p%40ss@mail.example.com", "SMTP_URL is wrong: it has"),
    "half a scheme": ("SMTP_URL", "smtp+ssl://mail.example.com", "SMTP_URL is wrong: it has"),
    "no host": ("SMTP_URL", "smtp://", "SMTP_URL is wrong: it has"),
    "no number": ("SMTP_URL", "smtp://host:p%40ss", "SMTP_URL is wrong: it has"),
    "port 0": ("SMTP_URL", "smtp://host:0", "SMTP_URL is wrong: it has"),
    "more than a host": ("SMTP_URL", "smtp://host/p%40ss", "SMTP_URL is wrong: it has"),
    "half a bracket": ("SMTP_URL", "smtp://[::1", "SMTP_URL is wrong: it has"),
    "no password": ("SMTP_URL", "smtp://user@host", "a user and a password go together"),
    "no address": ("AI_GATEWAY_ALERT_EMAILS", "ops", "'ops' is no mail address"),
    "an empty one": ("AI_GATEWAY_ALERT_EMAILS", "ops@x.com,", "'' is no mail address"),
    "a name": ("AI_GATEWAY_ALERT_FROM", "Ops <ops@x.com>", "is no mail address"),
    "a second header": ("AI_GATEWAY_ALERT_FROM", "a@x.com\r\nBcc: b@x.com", "is no mail address"),
    "too many": (
        "AI_GATEWAY_ALERT_EMAILS",
        ",".join(f"a{n}@x.com" for n in range(21)),
        "has 21 addresses: at most 20",
    ),
    "nobody sends": ("AI_GATEWAY_ALERT_FROM", "", "AI_GATEWAY_ALERT_FROM is needed with"),
    "no server": ("SMTP_URL", "", "SMTP_URL is needed with AI_GATEWAY_ALERT_EMAILS"),
    "a file": ("AI_GATEWAY_ALERT_WEBHOOK_URL", "file:///etc/s3cret", "has to start with one of"),
    "no host to post to": ("AI_GATEWAY_ALERT_WEBHOOK_URL", "https:///s3cret", "https://host/path"),
    "a user": ("AI_GATEWAY_ALERT_WEBHOOK_URL", "https://u:s3cret@host/x", "without user"),
    "a blank": ("AI_GATEWAY_ALERT_WEBHOOK_URL", "https://host/s3cret x", "https://host/path"),
    "a port that is none": ("AI_GATEWAY_ALERT_WEBHOOK_URL", "https://host:s3cret/", "https://host"),
    "another form": ("AI_GATEWAY_ALERT_WEBHOOK_FORM", "teams", "use one of auto, json, slack"),
    "a typing error": ("AI_GATEWAY_ALERT_EMAIL", "a@x.com", "did you mean AI_GATEWAY_ALERT_EMAILS"),
}


@pytest.mark.parametrize(("name", "value", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_in_one_line(name: str, value: str, words: str) -> None:
    assert words in refusal({**MAIL, name: value})
