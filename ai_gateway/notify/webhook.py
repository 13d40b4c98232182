"""Messages by HTTP POST: as JSON of our own, or in the form that Slack takes."""

from typing import Literal
from urllib.parse import urlsplit

import orjson
import urllib3

from ai_gateway.domain.alerts import Notice, NoticeState
from ai_gateway.notify.channel import TIME_LIMITS, NotSent, TimeLimits

ID_HEADER = "X-AI-Gateway-Alert-Id"
SLACK_HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")

WebhookForm = Literal["json", "slack"]


class WebhookChannel:
    """Posts to one address of the operator; an answer of 2xx means that it arrived."""

    name = "webhook"

    def __init__(self, url: str, form: WebhookForm, limits: TimeLimits = TIME_LIMITS) -> None:
        self._url = url
        self._form = form
        # What follows the host may be a credential.
        parts = urlsplit(url)
        self.target = f"{parts.scheme}://{parts.hostname}, {'Slack' if form == 'slack' else 'JSON'}"
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=limits.connect, read=limits.answer),
        )

    def send(self, notice: Notice) -> str:
        body = _slack(notice) if self._form == "slack" else _json(notice)
        headers = {"Content-Type": "application/json", ID_HEADER: notice.id}
        try:
            answer = self._pool.request(
                "POST", self._url, body=body, headers=headers, redirect=False, preload_content=False
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NotSent(_words(error)) from error
        # The answer has nothing for us, and a connection with the rest of one is of no use.
        answer.close()
        if not 200 <= answer.status < 300:
            is_redirect = 300 <= answer.status < 400
            raise NotSent(
                f"answered {answer.status}{', which is not followed' if is_redirect else ''}"
            )
        return ""


def webhook_form(url: str) -> WebhookForm:
    """Slack's form for Slack's own addresses."""
    return "slack" if urlsplit(url).hostname in SLACK_HOSTS else "json"


def _json(notice: Notice) -> bytes:
    return orjson.dumps(
        {
            "id": notice.id,
            "state": notice.state,
            "rule": notice.kind,
            "title": notice.title,
            "lines": notice.lines,
            "at": notice.at,
        }
    )


def _slack(notice: Notice) -> bytes:
    sign = {
        NoticeState.FIRING: ":rotating_light:",
        NoticeState.RESOLVED: ":white_check_mark:",
        NoticeState.TEST: ":wave:",
    }[notice.state]
    lines = [f"{sign} *{_escaped(notice.title)}*", *map(_escaped, notice.lines)]
    return orjson.dumps({"text": "\n".join(lines)})


def _escaped(text: str) -> str:
    """As Slack asks for; else a name could be a link, or call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _words(error: Exception) -> str:
    """Never the text of the error, which has the address."""
    match error:
        case urllib3.exceptions.NameResolutionError():
            return "its name is not known"
        case urllib3.exceptions.NewConnectionError():
            # It counts as one that came too late as well.
            return "no connection"
        case urllib3.exceptions.ConnectTimeoutError():
            return "no connection in time"
        case urllib3.exceptions.TimeoutError():
            return "no answer in time"
        case urllib3.exceptions.SSLError():
            return "its certificate is not trusted, or TLS failed"
        case _:
            return f"no connection ({type(error).__name__})"
