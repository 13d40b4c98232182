"""Webhooks to a real sink: our JSON, Slack's form, and what each failure is called."""

import dataclasses

import pytest

from ai_gateway.domain.alerts import NoticeState
from ai_gateway.notify.channel import NotSent, TimeLimits
from ai_gateway.notify.webhook import WebhookChannel, webhook_form
from tests.notify.sinks import webhook_sink
from tests.notify.test_mail import NOTICE
from tests.serve.gateway_process import free_port


def failure(channel: WebhookChannel) -> str:
    with pytest.raises(NotSent) as caught:
        channel.send(NOTICE)
    return str(caught.value)


def test_the_message_comes_as_json_with_its_name_in_a_header() -> None:
    with webhook_sink() as sink:
        assert WebhookChannel(sink.url, "json").send(NOTICE) == ""
    assert sink.bodies == [
        {
            "id": NOTICE.id,
            "state": "firing",
            "rule": "budget_reached",
            "title": NOTICE.title,
            "lines": list(NOTICE.lines),
            "at": "2026-11-23T07:10:00+00:00",
        }
    ]
    assert sink.headers[0]["x-ai-gateway-alert-id"] == NOTICE.id
    assert sink.headers[0]["content-type"] == "application/json"


def test_slack_gets_a_text_in_which_a_name_is_a_name() -> None:
    hostile = dataclasses.replace(
        NOTICE, state=NoticeState.RESOLVED, title="Resolved: <!channel> & co", lines=("a > b",)
    )
    with webhook_sink() as sink:
        WebhookChannel(sink.url, "slack").send(hostile)
    text = ":white_check_mark: *Resolved: &lt;!channel&gt; &amp; co*\na &gt; b"
    assert sink.bodies == [{"text": text}]


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://hooks.slack.com/services/T/B/x", "slack"),
        ("https://hooks.slack.com.evil.example/services", "json"),
        ("https://chat.example.com/hooks/slack", "json"),
    ],
)
def test_slack_is_known_by_its_own_address(url: str, form: str) -> None:
    assert webhook_form(url) == form


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (500, "answered 500"),
        (404, "answered 404"),
        (302, "answered 302, which is not followed"),
        (307, "answered 307, which is not followed"),
    ],
)
def test_anything_but_success_is_a_failure_and_no_redirect_is_followed(
    status: int, words: str
) -> None:
    with webhook_sink() as sink:
        sink.status = status
        assert failure(WebhookChannel(sink.url, "json")) == words
        assert len(sink.bodies) == 1


def test_a_sink_that_hangs_is_left_after_its_time() -> None:
    with webhook_sink() as sink:
        sink.status = 0
        assert (
            failure(WebhookChannel(sink.url, "json", TimeLimits(answer=0.05)))
            == "no answer in time"
        )


def test_a_failure_never_tells_the_address() -> None:
    told = failure(WebhookChannel(f"http://127.0.0.1:{free_port()}/s3cret?token=t0ken", "json"))
    assert told == "no connection"


def test_what_is_shown_of_the_address_ends_with_its_host() -> None:
    channel = WebhookChannel("https://hooks.slack.com/services/T0/B0/s3cret?x=t0ken", "slack")
    assert channel.target == "https://hooks.slack.com, Slack"


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with webhook_sink() as sink:
        WebhookChannel(sink.url, "json").send(NOTICE)
    assert sink.ids == [NOTICE.id]
