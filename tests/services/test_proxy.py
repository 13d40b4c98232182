"""The story of one call: one outcome, told once, and settled once if it was admitted."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from ai_gateway.domain.call import Operation, Outcome
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import (
    BudgetExhausted,
    BudgetUnavailable,
    CallEnded,
    GatewayError,
    InvalidKey,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    ModelUnpriced,
    RequestTooLarge,
    UnsupportedEncoding,
    UpstreamRateLimited,
    UpstreamRefusedCredential,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ai_gateway.services.open_calls import EndReason
from ai_gateway.telemetry.observer import LocalCall, SettledCall
from tests.providers.scripted import SILENCE, WAIT_SECONDS, ScriptedResponse
from tests.services.workbench import (
    DONE,
    FAR,
    NOW,
    Options,
    Workbench,
    chat_answer,
    chat_body,
    chat_event,
    usage_event,
    user_day,
)

COST = 10 + 5 * 10


def outcomes(bench: Workbench) -> list[tuple[str, str]]:
    """Every outcome that was told, with the reason of a refusal."""
    local = [(fact.outcome.value, fact.reason) for fact in bench.watcher.local]
    settled = [(fact.finished.outcome.value, "") for fact in bench.watcher.settled_calls]
    return local + settled


def is_free_of_holds(bench: Workbench) -> bool:
    names = bench.client.keys("{agw}:account:*")
    return all(bench.client.hget(name, "held") in {None, "0"} for name in names)


# Whole answers


def test_answer_of_the_provider_goes_back_byte_for_byte(bench: Workbench) -> None:
    body = b'{ "usage": {"prompt_tokens": 10, "completion_tokens":5},\n"x": 1.10 }'
    response = ScriptedResponse(body, headers={"content-type": "application/json; charset=x"})
    answer = bench.call(bench.make_key(), response)
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-type"] == "application/json; charset=x"
    assert response.closed == 1


def test_whole_answer_tells_its_cost(bench: Workbench) -> None:
    answer = bench.call(bench.make_key(), chat_answer(), max_tokens=7)
    assert answer.headers["x-ai-gateway-cost-usd"] == "0.00000006"
    assert "x-ai-gateway-max-tokens" not in answer.headers
    assert bench.entry().total == COST
    assert outcomes(bench) == [("success", "")]


def test_answer_tells_the_cap_that_was_sent(bench: Workbench) -> None:
    answer = bench.call(bench.make_key(), chat_answer())
    assert answer.headers["x-ai-gateway-max-tokens"] == "1000"
    assert json.loads(bench.transport.sent[0].body)["max_completion_tokens"] == 1000


def test_streamed_answer_tells_the_cap_but_no_cost(bench: Workbench) -> None:
    answer = bench.call(
        bench.make_key(), ScriptedResponse(chat_event("a"), usage_event(), DONE), stream=True
    )
    assert answer.headers == {
        "content-type": "text/event-stream",
        "x-ai-gateway-max-tokens": "1000",
    }
    assert not isinstance(answer.body, bytes)
    assert b"".join(answer.body) == chat_event("a") + DONE


def test_no_header_of_the_provider_leaks(bench: Workbench) -> None:
    secrets = {"set-cookie": "a=b", "openai-organization": "our-org", "x-request-id": "theirs"}
    body = json.dumps(chat_body()).encode()
    answer = bench.call(bench.make_key(), ScriptedResponse(body, headers=secrets))
    assert not set(secrets) & set(answer.headers)


def test_answer_that_cannot_be_read_is_an_error_and_is_not_free(bench: Workbench) -> None:
    with pytest.raises(UpstreamUnavailable) as caught:
        bench.call(bench.make_key(), ScriptedResponse(b"<html>"))
    assert caught.value.was_sent
    assert outcomes(bench) == [("upstream_error", "")]
    assert bench.entry().total > 0


def test_answer_that_breaks_off_is_an_error_and_is_not_free(bench: Workbench) -> None:
    response = ScriptedResponse(b"{", UpstreamUnavailable("lab", was_sent=True))
    with pytest.raises(UpstreamUnavailable):
        bench.call(bench.make_key(), response)
    assert response.closed == 1
    assert outcomes(bench) == [("upstream_error", "")]
    assert bench.entry().words["usage_status"] == "missing"
    assert bench.entry().total > 0


# Errors of the provider


@pytest.mark.parametrize(
    ("error", "outcome", "is_billed"),
    [
        pytest.param(UpstreamRejected("lab", 400, b"{}"), "upstream_rejected", False, id="400"),
        pytest.param(UpstreamRateLimited("lab", 7), "upstream_rejected", False, id="429"),
        pytest.param(UpstreamRefusedCredential("lab"), "upstream_error", False, id="401"),
        pytest.param(
            UpstreamUnavailable("lab", was_sent=True, status=500),
            "upstream_error",
            False,
            id="500",
        ),
        pytest.param(
            UpstreamUnavailable("lab", was_sent=False), "upstream_error", False, id="not sent"
        ),
        pytest.param(
            UpstreamUnavailable("lab", was_sent=True), "upstream_error", True, id="no answer"
        ),
        pytest.param(UpstreamTimeout("lab"), "upstream_timeout", True, id="timeout"),
    ],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_error_of_the_provider_is_told_once_and_billed_only_where_it_may_have_worked(
    bench: Workbench, error: GatewayError, outcome: str, *, is_billed: bool, stream: bool
) -> None:
    with pytest.raises(type(error)) as caught:
        bench.call(bench.make_key(), error, stream=stream)
    assert caught.value is error
    assert outcomes(bench) == [(outcome, "")]
    entry = bench.entry()
    assert entry.words["usage_status"] == ("missing" if is_billed else "not_billed")
    assert (entry.total > 0) is is_billed
    assert entry.tally["failures"] == 1
    assert is_free_of_holds(bench)
    assert len(bench.open_calls) == 0


# Refusals


def of_another_secret(bench: Workbench) -> str:
    return bench.make_key(digest="0" * 64)


def of_a_revoked_key(bench: Workbench) -> str:
    return bench.make_key(status=KeyStatus.REVOKED)


def of_an_expired_key(bench: Workbench) -> str:
    return bench.make_key(expires_at=NOW - timedelta(days=1))


def of_a_poor_key(bench: Workbench) -> str:
    return bench.make_key(user_day(1))


def of_a_narrow_key(bench: Workbench) -> str:
    return bench.make_key(allowed_models=("dear",))


def of_a_good_key(bench: Workbench) -> str:
    return bench.make_key()


def of_nobody(_bench: Workbench) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Refused:
    """A call that goes no further, and how that is told."""

    make_key: Callable[[Workbench], str | None]
    kind: type[GatewayError]
    outcome: str
    reason: str
    body: Mapping[str, object] = field(default_factory=dict)


CLIENT, AUTH = "client_error", "auth_error"
REFUSALS = {
    "no key": Refused(of_nobody, InvalidKey, AUTH, "missing"),
    "wrong key": Refused(of_another_secret, InvalidKey, AUTH, "invalid"),
    "revoked": Refused(of_a_revoked_key, InvalidKey, AUTH, "revoked"),
    "expired": Refused(of_an_expired_key, InvalidKey, AUTH, "expired"),
    "bad body": Refused(of_a_good_key, InvalidRequest, CLIENT, "InvalidRequest", {"messages": 1}),
    "no such model": Refused(of_a_good_key, ModelNotFound, CLIENT, "ModelNotFound", {"model": "x"}),
    "not allowed": Refused(of_a_narrow_key, ModelNotAllowed, AUTH, "forbidden"),
    "unpriced": Refused(of_a_good_key, ModelUnpriced, CLIENT, "ModelUnpriced", {"model": "lab/x"}),
    "no budget": Refused(of_a_poor_key, BudgetExhausted, "budget_blocked", "user_day"),
}


@pytest.mark.parametrize("refused", REFUSALS.values(), ids=REFUSALS)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_refusal_is_told_once_and_nothing_is_sent_or_booked(
    bench: Workbench, refused: Refused, *, stream: bool
) -> None:
    with pytest.raises(refused.kind):
        bench.call(refused.make_key(bench), **dict(refused.body, stream=stream))
    assert outcomes(bench) == [(refused.outcome, refused.reason)]
    (fact,) = bench.watcher.local
    assert fact.operation is Operation.CHAT
    # Whether it streams is known once the body is read.
    is_read = refused.kind not in {InvalidKey, InvalidRequest}
    assert fact.stream is (stream and is_read)
    assert bench.transport.sent == []
    assert bench.entries() == []
    assert is_free_of_holds(bench)


def test_credential_comes_before_the_body(bench: Workbench) -> None:
    with pytest.raises(InvalidKey):
        bench.call("junk", messages=1)


def test_gateway_that_is_not_ready_tells_so(bench: Workbench) -> None:
    key = bench.make_key()
    bench.client.delete("{agw}:meta")
    with pytest.raises(BudgetUnavailable):
        bench.call(key)
    assert outcomes(bench) == [("gateway_error", "unavailable")]


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (RequestTooLarge(1), Outcome.CLIENT_ERROR, "RequestTooLarge"),
        (UnsupportedEncoding(), Outcome.CLIENT_ERROR, "UnsupportedEncoding"),
        (InvalidKey("missing"), Outcome.AUTH_ERROR, "missing"),
        (BudgetUnavailable("timeout"), Outcome.GATEWAY_ERROR, "unavailable"),
    ],
    ids=repr,
)
def test_refusal_before_the_story_began_is_told_too(
    bench: Workbench, error: GatewayError, outcome: Outcome, reason: str
) -> None:
    bench.proxy.refuse("req_1", Operation.MESSAGES, error)
    assert bench.watcher.local == [LocalCall("req_1", Operation.MESSAGES, outcome, reason)]


def test_reasons_come_from_a_closed_set_whatever_the_client_says(bench: Workbench) -> None:
    for model in ("a\u2028b", "x" * 128, "lab/" + "y" * 100):
        with pytest.raises((ModelNotFound, ModelUnpriced, InvalidRequest)):
            bench.call(bench.make_key(), model=model)
    allowed = {"ModelNotFound", "ModelUnpriced", "InvalidRequest"}
    assert {fact.reason for fact in bench.watcher.local} <= allowed


# Listeners


class Failing:
    """A listener that always fails."""

    def answered_locally(self, fact: LocalCall) -> None:
        raise RuntimeError(fact.request_id)

    def settled(self, fact: SettledCall) -> None:
        raise RuntimeError(fact.call.request_id)


def test_listener_that_fails_harms_no_call_and_no_other_listener(
    make_bench: Callable[..., Workbench],
) -> None:
    bench = make_bench(Options(observers=(Failing(),)))
    assert bench.call(bench.make_key(), chat_answer()).status == 200
    with pytest.raises(InvalidKey):
        bench.call(None)
    stream = bench.stream(bench.make_key(), ScriptedResponse(usage_event(), DONE))
    assert list(stream) == [DONE]
    assert outcomes(bench) == [("auth_error", "missing"), ("success", ""), ("success", "")]


# Models


def test_listing_is_told_and_holds_nothing(bench: Workbench) -> None:
    listed = bench.proxy.models("req_1", bench.make_key(allowed_models=("plain",)), "openai")
    assert [row.model for row in listed] == ["plain"]
    assert bench.watcher.local == [LocalCall("req_1", Operation.MODELS, Outcome.SUCCESS, "")]
    assert bench.entries() == []


def test_listing_for_no_key_is_refused_and_told(bench: Workbench) -> None:
    with pytest.raises(InvalidKey):
        bench.proxy.models("req_1", None, "openai")
    assert outcomes(bench) == [("auth_error", "missing")]


def test_listing_for_a_key_that_was_just_revoked_is_refused(bench: Workbench) -> None:
    key = bench.make_key()
    bench.proxy.models("req_1", key, "openai")
    bench.change_key(key, status=KeyStatus.REVOKED)
    with pytest.raises(InvalidKey):
        bench.proxy.models("req_2", key, "openai")


# While it runs


def test_call_that_waits_for_its_first_byte_is_kept_alive(bench: Workbench) -> None:
    seen: list[int] = []

    class Watching(ScriptedResponse):
        def read_all(self) -> bytes:
            seen.append(len(bench.open_calls))
            return super().read_all()

    bench.call(bench.make_key(), Watching(json.dumps(chat_body()).encode()))
    assert seen == [1]
    assert len(bench.open_calls) == 0


def test_whole_answer_that_the_gateway_ends_is_settled(bench: Workbench) -> None:
    key = bench.make_key()

    class Ending(ScriptedResponse):
        def read_all(self) -> bytes:
            (open_call,) = bench.open_calls._calls.values()
            open_call.end(EndReason.REVOKED)
            assert self.interrupted.wait(WAIT_SECONDS)
            return super().read_all()

    with pytest.raises(CallEnded) as caught:
        bench.call(key, Ending(SILENCE))
    assert caught.value.reason == EndReason.REVOKED
    assert outcomes(bench) == [("gateway_error", "")]
    assert bench.entry().total > 0
    assert bench.held(key) == 0


def test_answer_of_the_other_dialect_is_metered(bench: Workbench) -> None:
    usage = {"input_tokens": 10, "output_tokens": 5}
    body = json.dumps({"model": "claude", "content": [], "usage": usage}).encode()
    answer = bench.call(bench.make_key(), ScriptedResponse(body), to=FAR)
    assert answer.body == body
    assert bench.entry().total == 10 * 2 + 5 * 20
    assert bench.watcher.settled_calls[0].call.operation is Operation.MESSAGES


def test_headers_that_may_go_on_go_on(bench: Workbench) -> None:
    incoming = bench.incoming(bench.make_key(), to=FAR)
    bench.transport.answers.append(ScriptedResponse(b"{}"))
    assert bench.proxy.call(incoming).status == 200
    assert "agw_" not in str(bench.transport.sent[0].headers)
    assert b"agw_" not in bench.transport.sent[0].body
