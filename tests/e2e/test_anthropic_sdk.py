"""The Anthropic SDK, pointed at the gateway by its base URL and key alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import MessageParam

from tests.coroutines import run
from tests.e2e.caller import Caller, metric, usd
from tests.e2e.operating import Operator
from tests.running import RunningGateway

MODEL = "claude-haiku-5-5"
WEATHER: Any = {
    "name": "weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


@contextmanager
def sdk(caller: Caller, **options: Any) -> Iterator[Anthropic]:
    with Anthropic(base_url=caller.gateway.base_url, api_key=caller.key, **options) as client:
        yield client


def messages(caller: Caller, prompt: str) -> list[MessageParam]:
    return [{"role": "user", "content": f"{prompt} {caller.tag}"}]


def text_of(message: Any) -> str:
    return str(message.content[0].text)


def whole(caller: Caller) -> str:
    with sdk(caller) as client:
        asked = messages(caller, "[[tokens=4]]")
        return text_of(client.messages.create(model=MODEL, max_tokens=50, messages=asked))


def streamed(caller: Caller) -> str:
    asked = messages(caller, "[[tokens=4]]")
    with (
        sdk(caller) as client,
        client.messages.stream(model=MODEL, max_tokens=50, messages=asked) as stream,
    ):
        return "".join(stream.text_stream)


def asynchronous(caller: Caller) -> str:
    async def ask() -> str:
        async with AsyncAnthropic(base_url=caller.gateway.base_url, api_key=caller.key) as client:
            asked = messages(caller, "[[tokens=4]]")
            return text_of(await client.messages.create(model=MODEL, max_tokens=50, messages=asked))

    return run(ask())


def asynchronously_streamed(caller: Caller) -> str:
    async def ask() -> str:
        async with (
            AsyncAnthropic(base_url=caller.gateway.base_url, api_key=caller.key) as client,
            client.messages.stream(
                model=MODEL, max_tokens=50, messages=messages(caller, "[[tokens=4]]")
            ) as stream,
        ):
            return text_of(await stream.get_final_message())

    return run(ask())


@pytest.mark.parametrize("ask", [whole, streamed, asynchronous, asynchronously_streamed])
def test_answer_arrives_and_is_booked(caller: Caller, ask: Callable[[Caller], str]) -> None:
    assert ask(caller) == "Hello from the AI"
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("success", "reported")
    assert entry["cost_nano_usd"] == caller.billed()
    assert entry["stream"] == ("streamed" in ask.__name__)


def test_key_may_come_as_a_bearer_token(caller: Caller) -> None:
    with Anthropic(base_url=caller.gateway.base_url, auth_token=caller.key, api_key=None) as client:
        asked = messages(caller, "[[tokens=2]]")
        answer = client.messages.create(model=MODEL, max_tokens=50, messages=asked)
    assert text_of(answer) == "Hello from"


@pytest.mark.parametrize("way", ["whole", "streamed"])
def test_tool_is_called_and_its_result_is_answered(caller: Caller, way: str) -> None:
    def ask(client: Anthropic, conversation: list[MessageParam]) -> Any:
        request: Any = {"model": MODEL, "max_tokens": 50, "tools": [WEATHER]}
        if way == "whole":
            return client.messages.create(messages=conversation, **request)
        with client.messages.stream(messages=conversation, **request) as stream:
            return stream.get_final_message()

    with sdk(caller) as client:
        asked = messages(caller, "[[tool]] [[tokens=3]] What is it like in Oslo?")
        first = ask(client, asked)
        assert first.stop_reason == "tool_use"
        (call,) = first.content
        assert (call.name, list(call.input)) == ("weather", ["city"])
        result: Any = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
        second = ask(
            client,
            [
                *asked,
                {"role": "assistant", "content": first.content},
                {"role": "user", "content": [result]},
            ],
        )
    assert text_of(second) == "Hello from the"
    assert sum(entry["cost_nano_usd"] for entry in caller.booked_once(2)) == caller.billed()


def test_headers_tell_the_request_and_its_exact_cost(caller: Caller) -> None:
    with sdk(caller) as client:
        raw = client.messages.with_raw_response.create(
            model=MODEL,
            max_tokens=50,
            messages=messages(caller, "[[input=1001]] [[cached=333]] [[cache_write_1h=7]]"),
        )
        answer = raw.parse()
    (entry,) = caller.booked_once(1)
    assert raw.headers["x-request-id"] == answer._request_id == entry["request_id"]
    assert Decimal(raw.headers["x-ai-gateway-cost-usd"]) == Decimal(usd(entry["cost_nano_usd"]))


def test_models_are_listed_in_anthropics_shape(caller: Caller) -> None:
    with sdk(caller) as client:
        names = {model.id for model in client.models.list()}
    assert MODEL in names
    assert not any(name.startswith("gpt") for name in names)


@pytest.mark.parametrize(
    ("key", "request_", "error", "message"),
    [
        ("agw_wrongkey", {}, anthropic.AuthenticationError, "Incorrect API key provided"),
        (None, {"model": "claude-haiku-5"}, anthropic.NotFoundError, f"Did you mean.*{MODEL}"),
        (None, {"max_tokens": 0}, anthropic.BadRequestError, "max_tokens: a whole number from 1"),
        (None, {"prompt": "[[status=400]]"}, anthropic.BadRequestError, "as the prompt asked for"),
        (None, {"prompt": "[[status=429]]"}, anthropic.RateLimitError, "provider's own rate limit"),
        (None, {"prompt": "[[status=529]]"}, anthropic.InternalServerError, "usable answer"),
    ],
    ids=["key", "model", "field", "provider-400", "provider-429", "provider-529"],
)
def test_error_is_the_sdks_own_with_the_reason(
    caller: Caller,
    key: str | None,
    request_: dict[str, Any],
    error: type[anthropic.APIStatusError],
    message: str,
) -> None:
    given = {"model": MODEL, "max_tokens": 50, **request_}
    asked = messages(caller, str(given.pop("prompt", "")))
    with sdk(caller, max_retries=0) as client, pytest.raises(error, match=message) as raised:
        client.with_options(api_key=key or caller.key).messages.create(messages=asked, **given)
    assert raised.value.request_id


def test_call_without_budget_is_sent_once_although_the_sdk_would_retry(
    operator: Operator, gateway: RunningGateway
) -> None:
    caller = operator.new_caller(daily="0.0000001")
    blocked = {"name": "ai_gateway_requests_total", "outcome": "budget_blocked"}
    before = metric(gateway, **blocked)
    with (
        sdk(caller, max_retries=2) as client,
        pytest.raises(anthropic.RateLimitError, match="user's daily budget has no room") as raised,
    ):
        client.messages.create(model=MODEL, max_tokens=50, messages=messages(caller, "Hello"))
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert metric(gateway, **blocked) - before == 1
    assert caller.simulated() == caller.gateway.ledger(caller.key) == []


def test_error_in_mid_stream_is_raised_by_the_sdk(caller: Caller) -> None:
    heard: list[object] = []
    with sdk(caller) as client, pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        heard.extend(
            client.messages.create(
                model=MODEL, max_tokens=50, messages=messages(caller, "[[error=3]]"), stream=True
            )
        )
    assert caller.booked_once(1)[0]["outcome"] == "upstream_error"


def test_tokens_are_counted_for_nothing(gateway: RunningGateway, caller: Caller) -> None:
    labels = {"operation": "count_tokens", "outcome": "success"}
    before = metric(gateway, "ai_gateway_requests_total", **labels)
    with sdk(caller) as client:
        asked = messages(caller, "[[input=321]]")
        counted = client.messages.count_tokens(model=MODEL, messages=asked, tools=[WEATHER])
        beta = client.beta.messages.count_tokens(model=MODEL, messages=asked)  # type: ignore[arg-type]
    assert counted.input_tokens == beta.input_tokens == 321
    assert metric(gateway, "ai_gateway_requests_total", **labels) - before == 2
    assert caller.account() == (0, 0)
    assert caller.gateway.ledger(caller.key) == []


def test_tokens_are_counted_although_the_budget_is_used_up(operator: Operator) -> None:
    caller = operator.new_caller(daily="0.0000001")
    with sdk(caller) as client:
        asked = messages(caller, "[[input=12]]")
        assert client.messages.count_tokens(model=MODEL, messages=asked).input_tokens == 12


def test_tokens_are_not_counted_for_a_key_that_was_revoked(operator: Operator) -> None:
    caller = operator.new_caller()
    whole(caller)
    operator.flask("key", "revoke", caller.key_id)
    with sdk(caller) as client, pytest.raises(anthropic.AuthenticationError):
        client.messages.count_tokens(model=MODEL, messages=messages(caller, ""))


def test_tokens_of_a_forbidden_or_unknown_model_are_not_counted(operator: Operator) -> None:
    caller = operator.new_caller("--model", "anthropic/claude-opus-5-5")
    with sdk(caller) as client:
        with pytest.raises(anthropic.PermissionDeniedError):
            client.messages.count_tokens(model=MODEL, messages=messages(caller, ""))
        with pytest.raises(anthropic.NotFoundError):
            client.messages.count_tokens(model="claude-none", messages=messages(caller, ""))
    assert caller.simulated() == []


def test_beta_method_of_the_sdk_is_passed_on_and_booked(caller: Caller) -> None:
    asked: Any = messages(caller, "[[tokens=4]]")
    with sdk(caller) as client:
        answer = client.beta.messages.create(
            model=MODEL,
            max_tokens=50,
            messages=asked,
            betas=["context-1m-2025-08-07"],
            # Older ones send it by themselves.
            extra_query={"beta": "true"},
        )
    assert text_of(answer) == "Hello from the AI"
    (call,) = caller.simulated()
    assert call["query"] == "beta=true"
    assert "context-1m" in call["request_headers"]["anthropic-beta"]
    assert caller.booked_once(1)[0]["cost_nano_usd"] == caller.billed()


def test_nothing_else_of_the_query_goes_on(caller: Caller) -> None:
    asked = json.dumps(caller.body("anthropic"))
    answer = caller.post("anthropic", asked, path="/v1/messages?beta=false&x=1&base_url=http://e")
    assert answer.status == 200
    assert caller.simulated()[0]["query"] == ""
