"""What is forwarded for nothing: counts of tokens, and responses that are stored at a provider."""

import json
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from ai_gateway.domain.call import Address, Operation, Outcome, StoredAction
from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.errors import (
    BudgetUnavailable,
    GatewayError,
    InvalidKey,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    ResponseNotFound,
    UpstreamRejected,
    UpstreamUnavailable,
)
from ai_gateway.services.stored_responses import StoredResponses
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.response_owners import ResponseOwners
from ai_gateway.telemetry.observer import LocalCall
from tests.providers.scripted import ScriptedResponse
from tests.services.workbench import FAR, LAB, Workbench, user_day

JSON = {"content-type": "application/json"}
NAME = "resp_1"


def counting(bench: Workbench, key: str | None, **fields: Any) -> IncomingCall:
    incoming = bench.incoming(key, to=FAR, **{"max_tokens": ..., **fields})
    return replace(incoming, operation=Operation.COUNT_TOKENS)


def count(bench: Workbench, key: str | None, *answers: Any, **fields: Any) -> Answer:
    bench.transport.answers += answers
    return bench.free_calls.count_tokens(counting(bench, key, **fields))


def counted() -> ScriptedResponse:
    return ScriptedResponse(b'{"input_tokens":7}', headers=JSON)


def outcome(bench: Workbench) -> tuple[str, str]:
    """How the one request that was told ended."""
    (fact,) = bench.watcher.local
    return fact.outcome, fact.reason


def test_tokens_are_counted_by_the_provider_for_nothing(bench: Workbench) -> None:
    key, answer = bench.make_key(user_day(0)), counted()
    told = count(bench, key, answer)
    assert (told.status, told.body, told.headers) == (200, b'{"input_tokens":7}', JSON)
    (request,) = bench.transport.sent
    assert request.url == "http://far.test/v1/messages/count_tokens"
    assert "max_tokens" not in json.loads(request.body)
    assert (bench.entries(), bench.held(key), answer.closed) == ([], 0, 1)
    fact = LocalCall("req_1", Operation.COUNT_TOKENS, Outcome.SUCCESS, "")
    assert bench.watcher.local == [fact]


def test_query_goes_on_with_a_count(bench: Workbench) -> None:
    bench.transport.answers.append(counted())
    incoming = counting(bench, bench.make_key())
    beta = replace(incoming, address=Address(query=(("beta", "true"),)))
    bench.free_calls.count_tokens(beta)
    assert bench.transport.sent[0].url.endswith("/count_tokens?beta=true")


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (ScriptedResponse(b"{}", status=400), UpstreamRejected, Outcome.UPSTREAM_REJECTED),
        (ScriptedResponse(b"{}", status=500), UpstreamUnavailable, Outcome.UPSTREAM_ERROR),
        (
            ScriptedResponse(UpstreamUnavailable("far", was_sent=True)),
            UpstreamUnavailable,
            Outcome.UPSTREAM_ERROR,
        ),
    ],
)
def test_providers_error_is_told_once(
    bench: Workbench, answer: ScriptedResponse, error: type[GatewayError], told: Outcome
) -> None:
    with pytest.raises(error):
        count(bench, bench.make_key(), answer)
    assert outcome(bench) == (told, error.__name__)
    assert answer.closed == 1


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], type[GatewayError], Outcome]] = {
    "no messages": ({}, {"messages": []}, InvalidRequest, Outcome.CLIENT_ERROR),
    "unknown model": ({}, {"model": "none"}, ModelNotFound, Outcome.CLIENT_ERROR),
    "forbidden": ({"allowed_models": ("x",)}, {}, ModelNotAllowed, Outcome.AUTH_ERROR),
    "revoked": ({"status": KeyStatus.REVOKED}, {}, InvalidKey, Outcome.AUTH_ERROR),
}


@pytest.mark.parametrize(("key", "fields", "error", "told"), REFUSED.values(), ids=REFUSED)
def test_count_that_may_not_be_is_refused_and_told(
    bench: Workbench,
    key: dict[str, Any],
    fields: dict[str, Any],
    error: type[GatewayError],
    told: Outcome,
) -> None:
    with pytest.raises(error):
        count(bench, bench.make_key(**key), **fields)
    assert outcome(bench)[0] == told
    assert bench.transport.sent == []


def test_key_that_was_just_revoked_counts_no_more(bench: Workbench) -> None:
    key = bench.make_key()
    count(bench, key, counted())
    bench.change_key(key, status=KeyStatus.REVOKED)
    with pytest.raises(InvalidKey):
        count(bench, key)


# Stored responses


def asking(bench: Workbench, key: str | None, **fields: Any) -> IncomingCall:
    """A call for a response."""
    incoming = bench.incoming(key, messages=..., input="hi", **fields)
    return replace(incoming, operation=Operation.RESPONSES)


def response_body(**fields: Any) -> bytes:
    usage = {"input_tokens": 10, "output_tokens": 5}
    return json.dumps({"id": NAME, "model": "plain", "usage": usage} | fields).encode()


def make(bench: Workbench, key: str, **fields: Any) -> None:
    bench.transport.answers.append(ScriptedResponse(response_body(**fields), headers=JSON))
    bench.proxy.call(asking(bench, key))


def make_in_a_stream(bench: Workbench, key: str) -> None:
    """The client asks for it as soon as it knows its name."""
    created = b'data: {"type":"response.created","response":' + response_body(usage=None) + b"}\n\n"
    last = b'data: {"type":"response.completed","response":' + response_body() + b"}\n\n"
    go_on = Event()
    bench.transport.answers.append(ScriptedResponse(created, go_on, last))
    body = bench.proxy.call(asking(bench, key, stream=True)).body
    assert not isinstance(body, bytes)
    assert NAME.encode() in next(iter(body))
    assert ask(bench, key).status == 200
    go_on.set()
    assert b"".join(body) == last
    body.close()


def ask(
    bench: Workbench,
    key: str | None,
    action: StoredAction = StoredAction.READ,
    name: str = NAME,
    **facts: Any,
) -> Answer:
    bench.transport.answers.append(ScriptedResponse(response_body(), headers=JSON))
    incoming = replace(bench.incoming(key), operation=Operation.STORED_RESPONSES, **facts)
    try:
        return bench.free_calls.stored_response(incoming, name, action)
    finally:
        bench.transport.answers.clear()


@pytest.mark.parametrize("making", [make, make_in_a_stream])
def test_owner_gets_a_response_again_and_pays_once(
    bench: Workbench, making: Callable[[Workbench, str], None]
) -> None:
    key = bench.make_key()
    making(bench, key)
    assert ask(bench, key).body == response_body()
    assert bench.entry().cost == bench.spent(key) > 0
    fact = bench.watcher.local[-1]
    assert (fact.operation, fact.outcome) == (Operation.STORED_RESPONSES, Outcome.SUCCESS)


@pytest.mark.parametrize(
    ("action", "method", "end"),
    [
        (StoredAction.READ, "GET", ""),
        (StoredAction.DELETE, "DELETE", ""),
        (StoredAction.CANCEL, "POST", "/cancel"),
    ],
)
def test_action_goes_to_the_provider_that_keeps_the_response(
    bench: Workbench, action: StoredAction, method: str, end: str
) -> None:
    key = bench.make_key()
    make(bench, key)
    ask(bench, key, action)
    request = bench.transport.sent[-1]
    assert (request.method, request.url) == (method, f"{LAB.base_url}/responses/{NAME}{end}")
    assert (request.body, request.headers) == (b"", {"authorization": f"Bearer {LAB.api_key}"})


@pytest.mark.parametrize("action", StoredAction)
def test_response_of_another_user_does_not_exist(bench: Workbench, action: StoredAction) -> None:
    make(bench, bench.make_key())
    sent = len(bench.transport.sent)
    with pytest.raises(ResponseNotFound):
        ask(bench, bench.make_key(), action)
    assert len(bench.transport.sent) == sent


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "a\n", "x" * 129, "\u00e4"])
def test_name_that_is_no_segment_is_not_even_looked_up(bench: Workbench, name: str) -> None:
    key = bench.make_key()
    make(bench, key, id=name)
    assert not list(bench.client.scan_iter("*response*"))
    with pytest.raises(ResponseNotFound):
        ask(bench, key, name=name)


def test_response_that_is_not_stored_is_not_remembered(bench: Workbench) -> None:
    key = bench.make_key()
    make(bench, key, store=False)
    with pytest.raises(ResponseNotFound):
        ask(bench, key)


def test_response_of_another_wire_format_does_not_exist_here(bench: Workbench) -> None:
    key = bench.make_key()
    make(bench, key)
    with pytest.raises(ResponseNotFound):
        ask(bench, key, dialect="azure")


def test_stored_response_is_not_streamed(bench: Workbench) -> None:
    key = bench.make_key()
    make(bench, key)
    with pytest.raises(InvalidRequest, match="streamed"):
        ask(bench, key, address=Address(query=(("stream", "true"),)))


def test_owner_goes_on_from_a_response(bench: Workbench) -> None:
    key = bench.make_key()
    make(bench, key)
    bench.transport.answers.append(ScriptedResponse(response_body(), headers=JSON))
    answer = bench.proxy.call(asking(bench, key, previous_response_id=NAME))
    assert answer.status == 200
    assert json.loads(bench.transport.sent[-1].body)["previous_response_id"] == NAME


def test_nobody_else_goes_on_from_it(bench: Workbench) -> None:
    make(bench, bench.make_key())
    stranger = bench.make_key()
    with pytest.raises(ResponseNotFound):
        bench.proxy.call(asking(bench, stranger, previous_response_id=NAME))
    assert bench.held(stranger) == 0
    assert outcome(bench) == (Outcome.CLIENT_ERROR, "ResponseNotFound")


def test_answer_arrives_although_its_owner_could_not_be_kept(
    bench: Workbench, caplog: pytest.LogCaptureFixture
) -> None:
    key = bench.make_key()
    admitted = bench.admit(key)
    away = ResponseOwners(connect("redis://127.0.0.1:1"))
    StoredResponses(away, bench.registry, bench.models).remember(admitted, NAME)
    assert [record.getMessage() for record in caplog.records] == ["response_owner_lost"]
    with pytest.raises(BudgetUnavailable):
        away.find(NAME)
    with pytest.raises(ResponseNotFound):
        ask(bench, key)
