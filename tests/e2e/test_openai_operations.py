"""What the OpenAI SDK asks for beside chat: responses, embeddings, legacy completions, vendors."""

from collections.abc import Callable
from typing import Any

import openai
import pytest

from tests.e2e.caller import PRICES, Caller, metric, request
from tests.e2e.operating import Operator
from tests.e2e.test_openai_sdk import messages, sdk
from tests.running import RunningGateway

INSTRUCT = "gpt-3.5-turbo-instruct"
FUNCTION: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def response(caller: Caller, prompt: str = "[[tokens=4]]", **more: Any) -> Any:
    with sdk(caller) as client:
        return client.responses.create(model="gpt-4o-mini", input=f"{prompt} {caller.tag}", **more)


def streamed_response(caller: Caller, prompt: str = "[[tokens=4]]", **more: Any) -> list[Any]:
    with sdk(caller) as client:
        asked = f"{prompt} {caller.tag}"
        return list(client.responses.create(model="gpt-4o-mini", input=asked, stream=True, **more))


def completion(caller: Caller) -> str:
    with sdk(caller) as client:
        asked = f"[[tokens=4]] {caller.tag}"
        return client.completions.create(model=INSTRUCT, prompt=asked).choices[0].text


def completion_chunks(caller: Caller, **more: Any) -> list[Any]:
    with sdk(caller) as client:
        asked = f"[[tokens=4]] {caller.tag}"
        return list(client.completions.create(model=INSTRUCT, prompt=asked, stream=True, **more))


ASKS: dict[str, Callable[[Caller], str]] = {
    "responses": lambda caller: str(response(caller).output_text),
    "streamed responses": lambda caller: "".join(
        event.delta
        for event in streamed_response(caller)
        if event.type == "response.output_text.delta"
    ),
    "completions": completion,
    "streamed completions": lambda caller: "".join(
        chunk.choices[0].text for chunk in completion_chunks(caller)
    ),
}


@pytest.mark.parametrize("what", ASKS)
def test_answer_arrives_and_is_booked(caller: Caller, what: str) -> None:
    assert ASKS[what](caller).strip() == "Hello from the AI"
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("success", "reported")
    assert entry["operation"] == what.rsplit(maxsplit=1)[-1]
    assert bool(entry["stream"]) == what.startswith("streamed")
    assert entry["cost_nano_usd"] == caller.billed() > 0


def test_usage_chunk_of_a_completion_is_shown_to_who_asks_for_it_alone(caller: Caller) -> None:
    assert all(chunk.choices for chunk in completion_chunks(caller))
    *chunks, last = completion_chunks(caller, stream_options={"include_usage": True})
    assert all(chunk.choices for chunk in chunks)
    assert (last.choices, last.usage.completion_tokens) == ([], 4)
    caller.booked_once(2)


@pytest.mark.parametrize("given", ["one", "several"])
def test_embeddings_are_billed_by_their_input_alone(caller: Caller, given: str) -> None:
    texts = [f"a text {caller.tag}", "another"]
    with sdk(caller) as client:
        asked: Any = texts if given == "several" else texts[0]
        answer = client.embeddings.create(model="text-embedding-3-small", input=asked)
    assert len(answer.data) == (2 if given == "several" else 1)
    assert len(answer.data[0].embedding) > 8
    (entry,) = caller.booked_once(1)
    assert (entry["operation"], entry["output_tokens"]) == ("embeddings", 0)
    assert entry["input_tokens"] == answer.usage.prompt_tokens
    assert entry["cost_nano_usd"] == caller.billed() == answer.usage.prompt_tokens * 20


def test_embeddings_hold_no_output(operator: Operator) -> None:
    """A budget that has room for the bytes of the input, and for no token more."""
    caller = operator.new_caller(daily="0.00001")
    with sdk(caller) as client:
        client.embeddings.create(model="text-embedding-3-small", input=f"a text {caller.tag}")
    assert PRICES["text-embedding-3-small"][0] * 500 >= 10_000 >= caller.account()[0] > 0


def test_embedding_model_has_no_price_for_a_chat(caller: Caller) -> None:
    with sdk(caller) as client, pytest.raises(openai.UnprocessableEntityError, match="no known"):
        client.chat.completions.create(
            model="text-embedding-3-small", messages=messages(caller, "Hello")
        )
    assert caller.simulated() == []


def test_hidden_reasoning_of_a_response_is_billed(caller: Caller) -> None:
    response(caller, "[[reasoning=65]] [[tokens=5]] [[input=3001]] [[cached=1024]]")
    streamed_response(caller, "[[reasoning=65]] [[tokens=5]] [[input=3001]] [[cached=1024]]")
    entries = caller.booked_once(2)
    for entry in entries:
        assert (entry["output_tokens"], entry["reasoning_tokens"]) == (70, 65)
        assert (entry["input_tokens"], entry["cached_input_tokens"]) == (3001, 1024)
    assert sum(entry["cost_nano_usd"] for entry in entries) == caller.billed()


def test_tool_of_a_response_is_called_in_a_stream(caller: Caller) -> None:
    events = streamed_response(caller, "[[tool]]", tools=[FUNCTION])
    (call,) = (item for item in events[-1].response.output if item.type == "function_call")
    assert "city" in call.arguments
    assert caller.booked_once(1)[0]["cost_nano_usd"] == caller.billed()


def test_capped_response_is_incomplete_and_billed(caller: Caller) -> None:
    answer = response(caller, "[[tokens=40]]", max_output_tokens=16)
    assert answer.status == "incomplete"
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["output_tokens"]) == ("success", 16)


@pytest.mark.parametrize(
    ("prompt", "last"), [("[[failed=2]]", "response.failed"), ("[[error=2]]", "error")]
)
def test_response_that_fails_in_mid_stream_is_counted(
    caller: Caller, prompt: str, last: str
) -> None:
    answer = caller.post(
        "openai",
        f'{{"model": "gpt-4o-mini", "stream": true, "input": "{prompt} {caller.tag}"}}',
        path="/v1/responses",
    )
    assert f"event: {last}".encode() in answer.body
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("upstream_error", "counted")
    assert entry["cost_nano_usd"] > 0


def test_response_that_failed_reaches_the_client_as_it_is(caller: Caller) -> None:
    answer = response(caller, "[[failed=2]]")
    assert answer.status == "failed"
    assert caller.booked_once(1)[0]["outcome"] == "upstream_error"


def test_response_in_the_background_is_refused(caller: Caller) -> None:
    with pytest.raises(openai.BadRequestError, match="background"):
        response(caller, background=True)
    assert caller.simulated() == []


def test_response_that_is_left_is_drained_and_billed(caller: Caller) -> None:
    with sdk(caller) as client:
        stream = client.responses.create(
            model="gpt-4o-mini", input=f"[[tokens=100]] [[pace=20]] {caller.tag}", stream=True
        )
        next(event for event in stream if event.type == "response.output_text.delta")
        stream.close()
    (entry,) = caller.booked_once(1)
    assert (entry["outcome"], entry["confidence"]) == ("cancelled", "reported")
    assert entry["cost_nano_usd"] == caller.billed()


def test_lowered_cap_goes_into_the_field_of_the_operation(operator: Operator) -> None:
    caller = operator.new_caller(daily="0.001")
    answer = caller.post(
        "openai",
        f'{{"model": "gpt-4o-mini", "input": "[[tokens=4]] {caller.tag}"}}',
        path="/v1/responses",
    )
    (call,) = caller.simulated()
    body: Any = call["request_body"]
    assert answer.headers["x-ai-gateway-max-tokens"] == str(body["max_output_tokens"])


# Vendors who speak the same dialect with a difference

STATED = {"xai": 0, "openrouter": 0, "perplexity": 5_000_000}
"""The simulator's bill for a search, in nano-USD; its tokens cost 3 and 15 USD a million there."""


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "vendor",
    [
        "mistral", "deepseek", "xai", "gemini", "moonshot", "perplexity",
        "groq", "cerebras", "together", "fireworks", "openrouter",
    ],
)  # fmt: skip
def test_usage_of_every_vendor_is_read_to_the_last_token(
    caller: Caller,
    vendor: str,
    is_streamed: bool,  # noqa: FBT001  # a table's column
) -> None:
    with sdk(caller) as client:
        model = next(row.id for row in client.models.list() if row.owned_by == vendor)
        name = model if model.startswith(f"{vendor}/") else f"{vendor}/{model}"
        asked = messages(caller, "[[reasoning=65]] [[tokens=5]] [[input=3001]]")
        answer = client.chat.completions.create(
            model=name, messages=asked, stream=is_streamed, max_tokens=200
        )
        if is_streamed:
            assert list(answer)
    (entry,) = caller.booked_once(1)
    assert (entry["provider"], entry["outcome"]) == (vendor, "success")
    assert (entry["input_tokens"], entry["output_tokens"]) == (3001, 70)
    assert entry["confidence"] == "reported"
    if vendor in STATED:
        assert entry["usage_status"] == "provider_cost"
        assert entry["price_status"] == "provider_stated"
        assert entry["cost_nano_usd"] == 3001 * 3_000 + 70 * 15_000 + STATED[vendor]
    else:
        assert entry["usage_status"] == "exact"


def test_every_operation_is_counted_by_its_name(gateway: RunningGateway, caller: Caller) -> None:
    names = ("responses", "completions", "embeddings")
    before = {name: metric(gateway, "ai_gateway_requests_total", operation=name) for name in names}
    for name in names:
        answer = request(gateway, "POST", f"/v1/{name}", b"{}", caller.credential("openai"))
        assert answer.status == 400
    for name in names:
        now = metric(gateway, "ai_gateway_requests_total", operation=name)
        assert now == before[name] + 1
