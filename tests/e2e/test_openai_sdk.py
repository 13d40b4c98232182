"""The OpenAI SDK, pointed at the gateway by its base URL and key alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.coroutines import run
from tests.e2e.caller import Caller, metric, usd
from tests.e2e.operating import Operator
from tests.running import RunningGateway

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@contextmanager
def sdk(caller: Caller, **options: Any) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{caller.gateway.base_url}/v1", api_key=caller.key, **options) as client:
        yield client


def messages(caller: Caller, prompt: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": f"{prompt} {caller.tag}"}]


def whole(caller: Caller) -> str | None:
    with sdk(caller) as client:
        answer = client.chat.completions.create(
            model="gpt-4o-mini", messages=messages(caller, "[[tokens=4]]")
        )
        return answer.choices[0].message.content


def streamed(caller: Caller) -> str | None:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks(caller))


def chunks(caller: Caller, **more: Any) -> list[ChatCompletionChunk]:
    with sdk(caller) as client:
        return list(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=messages(caller, "[[tokens=4]]"), stream=True, **more
            )
        )


def asynchronous(caller: Caller) -> str | None:
    async def ask() -> str | None:
        async with AsyncOpenAI(
            base_url=f"{caller.gateway.base_url}/v1", api_key=caller.key
        ) as client:
            answer = await client.chat.completions.create(
                model="gpt-4o-mini", messages=messages(caller, "[[tokens=4]]")
            )
            return answer.choices[0].message.content

    return run(ask())


def asynchronously_streamed(caller: Caller) -> str | None:
    async def ask() -> str | None:
        async with AsyncOpenAI(
            base_url=f"{caller.gateway.base_url}/v1", api_key=caller.key
        ) as client:
            stream = await client.chat.completions.create(
                model="gpt-4o-mini", messages=messages(caller, "[[tokens=4]]"), stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    return run(ask())


@pytest.mark.parametrize("ask", [whole, streamed, asynchronous, asynchronously_streamed])
def test_answer_arrives_and_is_booked(caller: Caller, ask: Callable[[Caller], str | None]) -> None:
    assert ask(caller) == "Hello from the AI"
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("success", "reported")
    assert entry["cost_nano_usd"] == caller.billed()
    assert entry["stream"] == ("streamed" in ask.__name__)


def test_tool_is_called_and_its_result_is_answered(caller: Caller) -> None:
    with sdk(caller) as client:
        asked = messages(caller, "[[tool]] [[tokens=3]] What is it like in Oslo?")
        first = client.chat.completions.create(model="gpt-4o-mini", messages=asked, tools=[WEATHER])
        (call,) = first.choices[0].message.tool_calls or []
        assert first.choices[0].finish_reason == "tool_calls"
        assert call.type == "function"
        assert "city" in json.loads(call.function.arguments)
        handed_in: Any = [
            *asked,
            first.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        ]
        second = client.chat.completions.create(
            model="gpt-4o-mini", messages=handed_in, tools=[WEATHER]
        )
    assert second.choices[0].message.content == "Hello from the"
    assert sum(entry["cost_nano_usd"] for entry in caller.booked_once(2)) == caller.billed()


def test_streamed_tool_call_arrives_whole(caller: Caller) -> None:
    with (
        sdk(caller) as client,
        client.chat.completions.stream(
            model="gpt-4o-mini", messages=messages(caller, "[[tool]]"), tools=[WEATHER]
        ) as stream,
    ):
        answer = stream.get_final_completion()
    (call,) = answer.choices[0].message.tool_calls or []
    assert "city" in json.loads(call.function.arguments)
    assert caller.booked_once(1)[0]["cost_nano_usd"] == caller.billed()


def test_headers_tell_the_request_and_its_exact_cost(caller: Caller) -> None:
    with sdk(caller) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="gpt-4o-mini", messages=messages(caller, "[[input=1001]] [[cached=334]]")
        )
        answer = raw.parse()
    (entry,) = caller.booked_once(1)
    assert raw.headers["x-request-id"] == answer._request_id == entry["request_id"]
    assert Decimal(raw.headers["x-ai-gateway-cost-usd"]) == Decimal(usd(entry["cost_nano_usd"]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"stream_options": {"include_usage": True}}, [4]),
        ({"stream_options": {"include_usage": False}}, []),
        ({}, []),
    ],
    ids=["yes", "no", "not said"],
)
def test_usage_of_a_stream_is_seen_only_by_who_asks_for_it(
    caller: Caller, options: dict[str, Any], expected: list[int]
) -> None:
    seen = chunks(caller, **options)
    assert [chunk.usage.completion_tokens for chunk in seen if chunk.usage] == expected
    assert all(chunk.choices or chunk.usage for chunk in seen)
    (entry,) = caller.booked_once(1)
    assert (entry["usage_status"], entry["output_tokens"]) == ("exact", 4)


def test_models_are_listed_in_openais_shape(caller: Caller) -> None:
    with sdk(caller) as client:
        listed = list(client.models.list())
    assert {model.object for model in listed} == {"model"}
    assert {model.owned_by for model in listed if model.id == "gpt-4o-mini"} == {"openai"}
    # Those of Anthropic speak another dialect.
    assert all(model.owned_by != "anthropic" for model in listed)


@pytest.mark.parametrize(
    ("key", "request_", "error", "message"),
    [
        ("agw_wrongkey", {}, openai.AuthenticationError, "Incorrect API key provided"),
        (None, {"model": "gpt-4o-minni"}, openai.NotFoundError, "Did you mean gpt-4o-mini"),
        (None, {"max_tokens": 0}, openai.BadRequestError, "max_tokens: a whole number from 1"),
        (None, {"prompt": "[[status=400]]"}, openai.BadRequestError, "as the prompt asked for"),
        (None, {"prompt": "[[status=429]]"}, openai.RateLimitError, "provider's own rate limit"),
        (None, {"prompt": "[[status=500]]"}, openai.InternalServerError, "usable answer"),
    ],
    ids=["key", "model", "field", "provider-400", "provider-429", "provider-500"],
)
def test_error_is_the_sdks_own_with_the_reason(
    caller: Caller,
    key: str | None,
    request_: dict[str, Any],
    error: type[openai.APIStatusError],
    message: str,
) -> None:
    given = {"model": "gpt-4o-mini", **request_}
    asked = messages(caller, str(given.pop("prompt", "")))
    with sdk(caller, max_retries=0) as client, pytest.raises(error, match=message) as raised:
        client.with_options(api_key=key or caller.key).chat.completions.create(
            messages=asked, **given
        )
    assert raised.value.request_id


def test_call_without_budget_is_sent_once_although_the_sdk_would_retry(
    operator: Operator, gateway: RunningGateway
) -> None:
    caller = operator.new_caller(daily="0.0000001")
    blocked = {"name": "ai_gateway_requests_total", "outcome": "budget_blocked"}
    before = metric(gateway, **blocked)
    with sdk(caller, max_retries=2) as client, pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o-mini", messages=messages(caller, "Hello"))
    assert raised.value.code == raised.value.type == "insufficient_quota"
    assert raised.value.response.headers["x-should-retry"] == "false"
    assert "user's daily budget has no room" in raised.value.message
    assert metric(gateway, **blocked) - before == 1
    assert caller.simulated() == caller.gateway.ledger(caller.key) == []


def test_error_in_mid_stream_is_raised_by_the_sdk(caller: Caller) -> None:
    heard: list[object] = []
    with sdk(caller) as client, pytest.raises(openai.APIError, match="had an error"):
        heard.extend(
            client.chat.completions.create(
                model="gpt-4o-mini", messages=messages(caller, "[[error=3]]"), stream=True
            )
        )
    assert caller.booked_once(1)[0]["outcome"] == "upstream_error"
