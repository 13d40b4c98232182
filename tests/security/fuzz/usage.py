"""The readers of what a provider says that it counted: whatever it says, no credit comes of it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ai_gateway.domain.call import Operation
from ai_gateway.domain.usage import Reading, UsageStatus
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.anthropic_usage import INPUT_GROUP
from ai_gateway.providers.dialect import Dialect, Interpreter, count_in, object_in
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Quirks
from ai_gateway.providers.registry import PROVIDER_ROWS
from tests.security.fuzz.target import Tape, Target, metering_cases

OPENAI, ANTHROPIC = OpenAIDialect(), AnthropicDialect()
OPERATIONS: Mapping[Operation, Dialect] = {
    Operation.CHAT: OPENAI,
    Operation.COMPLETIONS: OPENAI,
    Operation.EMBEDDINGS: OPENAI,
    Operation.RESPONSES: OPENAI,
    Operation.MESSAGES: ANTHROPIC,
}
QUIRKS: tuple[Quirks, ...] = tuple(dict.fromkeys(row.quirks for row in PROVIDER_ROWS))
_PARTS = {
    Operation.RESPONSES: ("input_tokens", "output_tokens"),
    Operation.MESSAGES: (*INPUT_GROUP, "output_tokens"),
    Operation.EMBEDDINGS: ("prompt_tokens",),
}
UNKNOWN = {"tokens_of_tomorrow": 7, "details_of_tomorrow": {"tokens": 9}, "is_tomorrow": None}
ASKED = json.dumps(
    {"model": "m", "stream": True, "max_tokens": 9, "messages": [{}], "prompt": "p", "input": "i"}
).encode()

_DETAILS = [
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "cache_creation",
    "cache_write_tokens_details",
    "server_tool_use",
    "tool_usage",
    "web_search",
    "image_gen",
    "x_groq",
    "cost_details",
    "usage",
]
_COUNTS = [
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "audio_tokens",
    "image_tokens",
    "cache_write_tokens",
    "prompt_cache_hit_tokens",
    "thinking_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "num_requests",
    "ephemeral_1h_input_tokens",
    "ephemeral_5m_input_tokens",
    "ttl_12h_tokens",
    "web_search_requests",
    "web_fetch_requests",
    "cost",
    "cost_in_usd_ticks",
    "estimated_cost",
    "total_cost",
    "is_byok",
    "type",
    "speed",
    "inference_geo",
    "upstream_inference_cost",
]
_LISTS = ("iterations", "choices", "output", "content")
_TEXTS = ("compaction", "advisor_message", "message", "us", "web_search_call", "text")


def check(data: bytes) -> None:
    """Bytes that are an object in JSON are an answer; others are choices that make one up."""
    raw = data if _parsed(data) is not None else json.dumps(_answer(Tape(data))).encode()
    answer = _parsed(raw)
    assert answer is not None
    # One vendor's way a run: all of them would make it eight times as slow.
    quirks = QUIRKS[sum(data) % len(QUIRKS)]
    stated = object_in(answer, "usage")
    for operation, dialect in OPERATIONS.items():
        reading = dialect.read_answer(raw, operation, quirks)
        hold(reading, operation, stated)
        if isinstance(answer.get("usage"), dict):
            told = json.dumps(answer | {"usage": {**stated, **UNKNOWN}}).encode()
            other = dialect.read_answer(told, operation, quirks)
            assert replace(other, raw="") == replace(reading, raw=""), "an unknown field tells"
        if operation is not Operation.EMBEDDINGS:
            hold(_streamed(operation, quirks, raw), operation, stated)


def seeds() -> list[bytes]:
    cases = [case["response"] for case in metering_cases("json")]
    answers = [json.dumps(case).encode() for case in cases if isinstance(case, dict)]
    deep = b'{"usage":{"prompt_tokens":1,"input_tokens":1,"x":' + b"[" * 300 + b"]" * 300 + b"}}"
    return [deep, *(answer for answer in answers if len(answer) < 1500)]


def hold(reading: Reading, operation: Operation, stated: Mapping[str, object]) -> None:
    """What was read of an answer that states this usage."""
    for usage in (reading.usage, *(helper.usage for helper in reading.helpers)):
        assert usage.is_consistent, usage
    assert reading.text_bytes >= 0
    assert reading.stated_cost is None or reading.stated_cost >= 0
    if reading.status is UsageStatus.EXACT:
        counted = reading.usage.input_tokens + reading.usage.output_tokens
        assert counted >= _least(operation, stated), f"exact at less than stated: {reading.usage}"


def _least(operation: Operation, stated: Mapping[str, object]) -> int:
    """What the parts say together, or the total where that is more."""
    names = _PARTS.get(operation, ("prompt_tokens", "completion_tokens"))
    total = 0 if operation is Operation.MESSAGES else count_in(stated, "total_tokens")
    return max(sum(count_in(stated, name) for name in names), total)


def _streamed(operation: Operation, quirks: Quirks, raw: bytes) -> Reading:
    dialect = OPERATIONS[operation]
    interpreter: Interpreter = dialect.interpreter(dialect.read_request(operation, ASKED), quirks)
    for event in _events(operation, raw):
        interpreter.see(event)
        interpreter.reading()
    interpreter.end()
    return interpreter.reading()


def _events(operation: Operation, raw: bytes) -> Iterator[bytes]:
    """The answer as the events of a stream that ends well."""
    yield raw
    if operation is Operation.RESPONSES:
        yield b'{"type":"response.completed","response":' + raw + b"}"
    elif operation is Operation.MESSAGES:
        yield b'{"type":"message_start","message":' + raw + b"}"
        usage = (_parsed(raw) or {}).get("usage")
        yield json.dumps({"type": "message_delta", "usage": usage}).encode()
        yield b'{"type":"message_stop"}'
    else:
        yield b"[DONE]"


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _answer(tape: Tape) -> dict[str, Any]:
    return {"usage": _object(tape, 3), "tool_usage": _object(tape, 2)} | _object(tape, 2)


def _object(tape: Tape, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(tape.byte() % 12):
        name = tape.one_of((*_COUNTS, *_DETAILS, *_LISTS))
        if depth and name in _DETAILS:
            found[name] = _object(tape, depth - 1)
        elif depth and name in _LISTS:
            found[name] = [_object(tape, depth - 1) for _ in range(tape.byte() % 4)]
        else:
            found[name] = _value(tape)
    return found


def _value(tape: Tape) -> object:
    kind = tape.byte()
    if kind < 160:
        return kind
    return tape.one_of(
        (
            0,
            -kind,
            kind * tape.byte(),
            10**9,
            10**9 + 1,
            -(10**9),
            2**63,
            2**70,
            1.5,
            1e300,
            -0.1,
            None,
            True,
            False,
            "12",
            *_TEXTS,
        )
    )


TARGET = Target(
    "usage", check, seeds, tuple(f'"{name}":'.encode() for name in (*_COUNTS, *_DETAILS, *_LISTS))
)
