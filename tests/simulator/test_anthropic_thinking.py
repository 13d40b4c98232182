"""Thinking, counting and the beta switch, as the real SDK and a raw socket see them."""

from collections.abc import Callable
from typing import Any

import anthropic
import orjson
import pytest

from simulator.raw_http import RawAnswer
from simulator.testing import RunningSimulator

Ask = Callable[..., RawAnswer]

ENABLED: Any = {"type": "enabled", "budget_tokens": 1_024}
ADAPTIVE: Any = {"type": "adaptive"}
TOOL: Any = {"name": "f", "input_schema": {"type": "object"}}
USER: Any = [{"role": "user", "content": "why? [[tokens=3]]"}]


def test_thinking_is_a_block_before_the_text(ask_anthropic: Ask) -> None:
    answer = ask_anthropic("hi [[tokens=3]] [[reasoning=20]]", thinking=ENABLED, max_tokens=2_000)
    body = orjson.loads(answer.body)
    thinking, text = body["content"]
    assert thinking["type"] == "thinking"
    assert thinking["thinking"]
    assert thinking["signature"]
    assert text == {"type": "text", "text": "Hello from the"}
    assert body["usage"]["output_tokens"] == 23
    assert body["usage"]["output_tokens_details"] == {"thinking_tokens": 20}


@pytest.mark.parametrize("thinking", [ENABLED, ADAPTIVE])
def test_sdk_gathers_thinking_into_the_same_blocks(
    anthropic_client: anthropic.Anthropic, thinking: Any
) -> None:
    asked: Any = {
        "model": "claude-opus-5-5",
        "max_tokens": 2_000,
        "messages": USER,
        "thinking": thinking,
    }
    whole = anthropic_client.messages.create(**asked)
    with anthropic_client.messages.stream(**asked) as stream:
        kinds = {event.delta.type for event in stream if event.type == "content_block_delta"}
        gathered = stream.get_final_message()
    assert kinds == {"thinking_delta", "signature_delta", "text_delta"}
    assert [block.type for block in gathered.content] == ["thinking", "text"]
    assert [block.to_dict() for block in gathered.content] == [
        block.to_dict() for block in whole.content
    ]
    assert gathered.usage.output_tokens_details == whole.usage.output_tokens_details
    assert gathered.usage.output_tokens_details is not None


def test_thinking_may_be_left_out_of_the_answer(ask_anthropic: Ask) -> None:
    answer = ask_anthropic("hi", thinking={"type": "adaptive", "display": "omitted"}, stream=True)
    assert b"thinking_delta" not in answer.body
    assert b"signature_delta" in answer.body


@pytest.mark.parametrize(
    ("prompt", "thinking"),
    [("hi [[reasoning=5]]", {"type": "disabled"}), ("hi [[reasoning=0]]", ADAPTIVE), ("hi", None)],
)
def test_no_block_without_thinking(ask_anthropic: Ask, prompt: str, thinking: Any) -> None:
    body = orjson.loads(ask_anthropic(prompt, thinking=thinking).body)
    assert [block["type"] for block in body["content"]] == ["text"]


def test_thinking_may_use_up_the_cap(ask_anthropic: Ask) -> None:
    fields: Any = {"thinking": ADAPTIVE, "max_tokens": 10}
    body = orjson.loads(ask_anthropic("[[reasoning=50]]", **fields).body)
    assert [block["type"] for block in body["content"]] == ["thinking"]
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("max_tokens", 10)
    streamed = ask_anthropic("[[reasoning=50]]", **fields, stream=True)
    assert streamed.body.count(b'"content_block_start"') == 1


def test_thinking_counts_neither_for_the_faults_nor_as_chunks(
    ask_anthropic: Ask, simulator: RunningSimulator
) -> None:
    answer = ask_anthropic("[[tokens=9]] [[cut=0]]", thinking=ADAPTIVE, stream=True)
    assert b"signature_delta" in answer.body
    assert b"text_delta" not in answer.body
    assert simulator.calls()[0]["sent_chunks"] == 0


def test_tool_may_be_called_after_thinking(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(
        model="claude-opus-5-5",
        max_tokens=2_000,
        thinking=ENABLED,
        tools=[TOOL],
        messages=[{"role": "user", "content": "[[tool]]"}],
    ) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "tool_use"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"thinking": "yes"}, "thinking: Input should be an object"),
        ({"thinking": {"type": "deep"}}, "thinking: Input tag 'deep' found"),
        ({"thinking": {"type": "enabled"}}, "budget_tokens: Field required"),
        (
            {"thinking": ENABLED | {"budget_tokens": "many"}},
            "budget_tokens: Input should be a valid integer",
        ),
        ({"thinking": ENABLED | {"budget_tokens": 1_023}}, "greater than or equal to 1024"),
        ({"thinking": ENABLED}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
        (
            {"thinking": ADAPTIVE, "tools": [TOOL], "tool_choice": {"type": "any"}},
            "Thinking may not be enabled when tool_choice forces tool use.",
        ),
    ],
)
def test_wrong_wish_is_refused(ask_anthropic: Ask, fields: dict[str, Any], words: str) -> None:
    answer = ask_anthropic("hi", **fields)
    assert answer.status == 400
    assert words in orjson.loads(answer.body)["error"]["message"]


def test_counting_tells_the_input_of_the_message(
    anthropic_client: anthropic.Anthropic, simulator: RunningSimulator
) -> None:
    asked: Any = {"model": "claude-opus-5-5", "messages": USER, "system": "s", "tools": [TOOL]}
    counted = anthropic_client.messages.count_tokens(**asked)
    message = anthropic_client.messages.create(**asked, max_tokens=99)
    assert counted.input_tokens == message.usage.input_tokens
    billed = [call["usage"] is not None for call in simulator.calls()]
    assert billed == [False, True]


def test_count_can_be_set_and_can_fail(post: Ask) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "[[input=77]]"}]}
    path = "/v1/messages/count_tokens"
    assert orjson.loads(post(path, body).body) == {"input_tokens": 77}
    refused = post(path, body | {"messages": []})
    assert refused.status == 400
    assert orjson.loads(refused.body)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_beta_is_accepted_and_changes_nothing(
    post: Ask, simulator: RunningSimulator, path: str
) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": USER}
    plain, beta = (orjson.loads(post(f"{path}{query}", body).body) for query in ("", "?beta=true"))
    assert (beta | {"id": None}) == (plain | {"id": None})
    assert [call["query"] for call in simulator.calls()] == ["", "beta=true"]


def test_beta_part_of_the_sdk_is_served(anthropic_client: anthropic.Anthropic) -> None:
    beta = anthropic_client.beta.messages.create(model="m", max_tokens=9, messages=USER)
    counted = anthropic_client.beta.messages.count_tokens(model="m", messages=USER)
    assert counted.input_tokens == beta.usage.input_tokens
