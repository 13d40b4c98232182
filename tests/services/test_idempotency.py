"""Repeats under an idempotency key: which of them go to the provider, and what the others hear."""

from dataclasses import replace
from typing import Any

import pytest

from ai_gateway.domain.exchange import Answer
from ai_gateway.errors import (
    BudgetExhausted,
    CallAlreadyMade,
    CallStillRunning,
    IdempotencyKeyReused,
    InvalidRequest,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from ai_gateway.providers.provider import Provider
from tests.providers.scripted import ScriptedResponse
from tests.services.workbench import (
    DONE,
    FAR,
    LAB,
    RICH,
    Workbench,
    chat_answer,
    chat_event,
    usage_event,
    user_day,
)

VALUE = "order-4711"


def ask(
    bench: Workbench,
    key: str,
    *answers: ScriptedResponse | Exception,
    value: str | None = VALUE,
    **body: Any,
) -> Answer:
    bench.transport.answers += answers
    return bench.proxy.call(replace(bench.incoming(key, **body), idempotency_key=value))


def test_a_repeat_is_not_sent_and_names_the_first_call(bench: Workbench) -> None:
    key = bench.make_key()
    ask(bench, key, chat_answer())
    with pytest.raises(CallAlreadyMade) as caught:
        ask(bench, key)
    assert (caught.value.request_id, caught.value.outcome) == ("req_1", "success")
    assert len(bench.transport.sent) == 1
    assert bench.entry().request_id == "req_1"
    assert bench.held(key) == 0


def test_a_repeat_beside_a_running_stream_is_not_sent(bench: Workbench) -> None:
    key = bench.make_key()
    response = ScriptedResponse(chat_event("hi"), usage_event(), DONE)
    stream = ask(bench, key, response, stream=True).body
    assert not isinstance(stream, bytes)
    next(iter(stream))
    with pytest.raises(CallStillRunning):
        ask(bench, key, stream=True)
    list(stream)
    stream.close()
    with pytest.raises(CallAlreadyMade):
        ask(bench, key, stream=True)
    assert bench.entry().request_id == "req_1"


def test_a_repeat_with_another_body_is_told_apart(bench: Workbench) -> None:
    key = bench.make_key()
    ask(bench, key, chat_answer())
    with pytest.raises(IdempotencyKeyReused):
        ask(bench, key, max_tokens=7)
    assert len(bench.transport.sent) == 1


@pytest.mark.parametrize(
    "error",
    [
        UpstreamUnavailable("lab", was_sent=False),
        UpstreamUnavailable("lab", was_sent=True, status=503),
        UpstreamRateLimited("lab", None),
        UpstreamRejected("lab", 400, b"{}"),
    ],
    ids=["never sent", "overloaded", "rate limit", "rejected"],
)
def test_a_call_that_the_provider_did_no_work_for_may_be_repeated(
    bench: Workbench, error: UpstreamError
) -> None:
    key = bench.make_key()
    with pytest.raises(type(error)):
        ask(bench, key, error)
    assert ask(bench, key, chat_answer()).status == 200
    assert [entry.cost for entry in bench.entries()] == [0, 60]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UpstreamTimeout("lab"), "upstream_timeout"),
        (UpstreamUnavailable("lab", was_sent=True), "upstream_error"),
    ],
    ids=["timeout", "broken off"],
)
def test_a_call_that_may_be_billed_is_not_sent_again(
    bench: Workbench, error: UpstreamError, outcome: str
) -> None:
    key = bench.make_key()
    with pytest.raises(type(error)):
        ask(bench, key, error)
    with pytest.raises(CallAlreadyMade) as caught:
        ask(bench, key)
    assert caught.value.outcome == outcome


def test_a_refused_call_may_be_repeated(bench: Workbench) -> None:
    key = bench.make_key(user_day(1))
    with pytest.raises(BudgetExhausted):
        ask(bench, key)
    bench.change_key(key, limits=RICH)
    assert ask(bench, key, chat_answer()).status == 200


def test_a_call_that_was_answered_503_may_be_repeated_at_once(bench: Workbench) -> None:
    """Its reserve ran, but the reply was lost: nobody waits for its hold to be taken back."""
    key = bench.make_key()
    incoming = replace(bench.incoming(key), idempotency_key=VALUE)
    asked = bench.dispatch.dialect("openai").read_request(incoming.operation, incoming.body)
    admitted = bench.admission.admit(bench.keys.identify(key), incoming, asked)
    bench.admission._doubtful.append(admitted.call)
    assert ask(bench, key, chat_answer()).status == 200
    assert bench.held(key) == 0


def test_two_users_with_one_value_are_strangers(bench: Workbench) -> None:
    for key in (bench.make_key(), bench.make_key()):
        assert ask(bench, key, chat_answer()).status == 200
    assert len(bench.entries()) == 2


def test_two_keys_of_one_user_are_strangers(bench: Workbench) -> None:
    for key in (bench.make_key(user_id=7), bench.make_key(user_id=7)):
        assert ask(bench, key, chat_answer()).status == 200


def test_a_value_that_is_none_is_refused_before_anything_is_held(bench: Workbench) -> None:
    key = bench.make_key()
    with pytest.raises(InvalidRequest):
        ask(bench, key, value="")
    assert bench.transport.sent == []
    assert bench.held(key) == 0


def test_a_repeat_is_told_as_a_refusal_of_its_user_and_model(bench: Workbench) -> None:
    key = bench.make_key(user_id=7)
    ask(bench, key, chat_answer())
    with pytest.raises(CallAlreadyMade):
        ask(bench, key)
    (fact,) = bench.watcher.local
    assert (fact.outcome, fact.reason) == ("client_error", "CallAlreadyMade")
    assert (fact.user_id, fact.model) == (7, "plain")


@pytest.mark.parametrize("to", [LAB, FAR], ids=["lab", "far"])
def test_neither_the_provider_nor_redis_sees_the_value(bench: Workbench, to: Provider) -> None:
    ask(bench, bench.make_key(), chat_answer(), to=to)
    (sent,) = bench.transport.sent
    assert VALUE not in repr((sent.headers, sent.body))
    for name in bench.client.scan_iter("*"):
        assert VALUE not in f"{name}{bench.client.dump(name)!r}"
