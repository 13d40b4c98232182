"""What a provider keeps is seen by the user who got it and by nobody else; it is free."""

import json
from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.e2e.caller import MODELS, Answer, Caller, Dialect, metric
from tests.e2e.operating import Operator
from tests.e2e.test_openai_sdk import sdk
from tests.running import RunningGateway


def made(caller: Caller, **more: Any) -> str:
    with sdk(caller) as client:
        asked: Any = {"model": "gpt-4o-mini", "input": f"[[tokens=4]] {caller.tag}", **more}
        return str(client.responses.create(**asked).id)


def made_in_a_stream(caller: Caller) -> str:
    with sdk(caller) as client:
        asked = f"[[tokens=4]] {caller.tag}"
        stream = client.responses.create(model="gpt-4o-mini", input=asked, stream=True)
        return next(event.response.id for event in stream if event.type == "response.created")


def ask(caller: Caller, method: str, name: str, end: str = "") -> Answer:
    path = f"/v1/responses/{name}{end}"
    return caller.post("openai", None, path=path, method=method)


@pytest.mark.parametrize("make", [made, made_in_a_stream])
def test_owner_reads_goes_on_from_and_deletes_a_response_for_nothing(
    caller: Caller, make: Callable[[Caller], str]
) -> None:
    name = make(caller)
    with sdk(caller) as client:
        assert client.responses.retrieve(name).output_text == "Hello from the AI"
        second = client.responses.create(
            model="gpt-4o-mini", input=f"[[tokens=3]] {caller.tag}", previous_response_id=name
        )
        assert second.previous_response_id == name
        client.responses.delete(name)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(name)
    entries = caller.booked_once(2)
    assert sum(entry["cost_nano_usd"] for entry in entries) == caller.billed()


FILE = {"type": "file", "file": {"file_id": "file-1"}}
DOCUMENT = {"type": "document", "source": {"type": "file", "file_id": "file_1"}}
STORED: dict[str, tuple[Dialect, str, dict[str, Any]]] = {
    "conversation": ("openai", "/v1/responses", {"input": "hi", "conversation": "conv_1"}),
    "vector store": (
        "openai",
        "/v1/responses",
        {"input": "hi", "tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    ),
    "file": ("openai", "/v1/chat/completions", {"messages": [{"role": "user", "content": [FILE]}]}),
    "document": (
        "anthropic",
        "/v1/messages",
        {"messages": [{"role": "user", "content": [DOCUMENT]}], "max_tokens": 9},
    ),
}


@pytest.mark.parametrize(("dialect", "path", "body"), STORED.values(), ids=STORED)
def test_what_is_open_to_every_key_of_an_account_is_refused(
    caller: Caller, dialect: Dialect, path: str, body: dict[str, Any]
) -> None:
    asked = json.dumps({"model": MODELS[dialect], "user": caller.tag, **body})
    answer = caller.post(dialect, asked, path=path)
    assert answer.status == 400
    error = answer.error(dialect)
    assert error["type"] == "invalid_request_error"
    assert "not offered" in error["message"]
    assert caller.simulated() == []


STRANGERS: dict[str, Callable[[Caller, str], Answer]] = {
    "read": lambda caller, name: ask(caller, "GET", name),
    "delete": lambda caller, name: ask(caller, "DELETE", name),
    "cancel": lambda caller, name: ask(caller, "POST", name, "/cancel"),
    "go on": lambda caller, name: caller.post(
        "openai",
        json.dumps({"model": "gpt-4o-mini", "input": "hi", "previous_response_id": name}),
        path="/v1/responses",
    ),
}


@pytest.mark.parametrize("what", STRANGERS)
def test_response_of_another_user_does_not_exist(operator: Operator, what: str) -> None:
    owner, stranger = operator.new_caller(), operator.new_caller()
    name = made(owner)
    told = STRANGERS[what](stranger, name)
    never_made = STRANGERS[what](stranger, "resp_never")
    assert told.status == never_made.status == 404
    assert told.error("openai")["code"] == "response_not_found"
    assert told.body.replace(name.encode(), b"resp_never") == never_made.body
    assert ask(owner, "GET", name).status == 200
    assert stranger.gateway.ledger(stranger.key) == []


def test_another_key_of_the_same_user_sees_the_response(operator: Operator) -> None:
    caller = operator.new_caller()
    name = made(caller)
    other = Caller(caller.gateway, operator.flask("key", "create", caller.name).strip())
    assert ask(other, "GET", name).status == 200


def test_response_that_another_provider_keeps_is_none_to_go_on_from(caller: Caller) -> None:
    name = made(caller)
    body = {"model": "xai/grok-4.3", "input": "hi", "previous_response_id": name}
    answer = caller.post("openai", json.dumps(body), path="/v1/responses")
    assert answer.error("openai")["code"] == "response_not_found"


def test_response_that_is_not_stored_is_not_remembered(caller: Caller) -> None:
    name = made(caller, store=False)
    assert ask(caller, "GET", name).error("openai")["code"] == "response_not_found"


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2Fb", "a%0d%0ab", "x" * 200, "%ff"])
def test_name_that_is_no_name_leads_nowhere(caller: Caller, name: str) -> None:
    assert ask(caller, "GET", name).status == 404
    assert ask(caller, "DELETE", name).status in {404, 405}


def test_owner_is_told_what_the_provider_says(caller: Caller) -> None:
    name = made(caller)
    answer = ask(caller, "POST", name, "/cancel")
    assert (answer.status, "synchronous" in answer.error("openai")["message"]) == (400, True)
    assert ask(caller, "GET", f"{name}?stream=true").status == 400


def test_revoked_key_sees_nothing_more(operator: Operator) -> None:
    caller = operator.new_caller()
    name = made(caller)
    operator.flask("key", "revoke", caller.key_id)
    assert ask(caller, "GET", name).status == 401


def test_free_requests_are_counted_by_their_outcome(
    gateway: RunningGateway, caller: Caller
) -> None:
    name = made(caller)
    labels = {"operation": "stored_responses"}
    before = {
        outcome: metric(gateway, "ai_gateway_requests_total", outcome=outcome, **labels)
        for outcome in ("success", "client_error", "upstream_rejected")
    }
    ask(caller, "GET", name)
    ask(caller, "GET", "resp_never")
    ask(caller, "POST", name, "/cancel")
    for outcome, count in before.items():
        now = metric(gateway, "ai_gateway_requests_total", outcome=outcome, **labels)
        assert now == count + 1, outcome
