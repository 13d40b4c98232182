"""Answers of providers told apart from their errors."""

from collections.abc import Mapping
from typing import Any

import pytest

from ai_gateway.errors import (
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tests.providers.scripted import Part, ScriptedResponse
from tests.services.workbench import FAR, Workbench, chat_answer


def send(
    bench: Workbench, answer: ScriptedResponse | Exception, **body: Any
) -> UpstreamError | None:
    """Dispatch a call; returns the error that it ended in."""
    key = bench.make_key()
    incoming = bench.incoming(key, **body)
    asked = bench.dispatch.dialect(incoming.dialect).read_request(incoming.operation, incoming.body)
    admitted = bench.admission.admit(bench.keys.identify(key), incoming, asked)
    bench.transport.answers.append(answer)
    try:
        bench.dispatch.send(admitted, asked, incoming.headers)
    except UpstreamError as error:
        return error
    return None


def refusing(status: int, *parts: Part, **headers: str) -> ScriptedResponse:
    return ScriptedResponse(*parts, status=status, headers=headers)


def test_good_answer_is_handed_on_unread(bench: Workbench) -> None:
    answer = chat_answer()
    assert send(bench, answer) is None
    assert answer.closed == 0
    assert answer.read_all()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, UpstreamRejected),
        (404, UpstreamRejected),
        (422, UpstreamRejected),
        (401, UpstreamRefusedCredential),
        (403, UpstreamRefusedCredential),
        (429, UpstreamRateLimited),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
        (529, UpstreamUnavailable),
        (201, UpstreamUnavailable),
        (302, UpstreamUnavailable),
    ],
)
def test_status_decides_what_kind_of_error_it_is(
    bench: Workbench, status: int, kind: type[UpstreamError]
) -> None:
    answer = refusing(status, b'{"error":{}}')
    error = send(bench, answer)
    assert type(error) is kind
    assert error.provider == "lab"
    assert answer.closed == 1


def test_rejection_keeps_status_and_body(bench: Workbench) -> None:
    error = send(bench, refusing(418, b'{"a":', b"1}"))
    assert isinstance(error, UpstreamRejected)
    assert (error.status, error.body) == (418, b'{"a":1}')


def test_error_of_the_provider_is_known_to_have_billed_nothing(bench: Workbench) -> None:
    error = send(bench, refusing(500))
    assert isinstance(error, UpstreamUnavailable)
    assert (error.was_sent, error.status) == (True, 500)


@pytest.mark.parametrize(
    "broken", [UpstreamUnavailable("lab", was_sent=True), UpstreamTimeout("lab")], ids=repr
)
@pytest.mark.parametrize("status", [400, 429, 500])
def test_status_alone_tells_of_the_refusal_when_its_body_breaks_off(
    bench: Workbench, status: int, broken: UpstreamError
) -> None:
    answer = refusing(status, b"{", broken)
    error = send(bench, answer)
    assert error is not broken
    assert getattr(error, "status", status) == status
    assert answer.closed == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="absent"),
        pytest.param({"retry-after": "7"}, 7, id="seconds"),
        pytest.param({"retry-after": "0"}, 0, id="at once"),
        pytest.param({"retry-after": "99999"}, 3600, id="at most an hour"),
        pytest.param({"retry-after": "9" * 5_000}, None, id="absurd"),
        pytest.param({"retry-after": "-1"}, None, id="negative"),
        pytest.param({"retry-after": "1.5"}, None, id="fraction"),
        pytest.param({"retry-after": "\u0661"}, None, id="other digits"),
        pytest.param({"retry-after": "Wed, 25 Nov 2026 07:28:00 GMT"}, None, id="date"),
    ],
)
def test_advice_when_to_try_again_is_kept_within_reason(
    bench: Workbench, headers: Mapping[str, str], seconds: int | None
) -> None:
    error = send(bench, ScriptedResponse(status=429, headers=headers))
    assert isinstance(error, UpstreamRateLimited)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("plain", "plain"), ("lab/plain", "plain"), ("plain-2026-11-25", "plain-2026-11-25")],
)
def test_provider_gets_its_own_name_of_the_model(bench: Workbench, asked: str, sent: str) -> None:
    send(bench, chat_answer(), model=asked)
    assert f'"model":"{sent}"'.encode() in bench.transport.sent[0].body


def test_call_is_sent_to_its_provider_in_its_dialect(bench: Workbench) -> None:
    send(bench, chat_answer(), to=FAR)
    (request,) = bench.transport.sent
    assert (request.provider, request.url) == ("far", "http://far.test/v1/messages")
    assert request.headers["x-api-key"] == FAR.api_key


def test_call_is_sent_once_however_it_ends(bench: Workbench) -> None:
    broken = UpstreamUnavailable("lab", was_sent=False)
    assert send(bench, broken) is broken
    assert len(bench.transport.sent) == 1
