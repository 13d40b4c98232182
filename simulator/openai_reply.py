"""Writing a reply as a chat completion, whole or as a stream of chunks."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from simulator.answer import Answer
from simulator.reply import Reply
from simulator.request import JsonObject, Tool
from simulator.usage import Usage
from simulator.wire import Part, PartKind, data_event

_FINGERPRINT: Final = "fp_simulator00"
_OBFUSCATION: Final = "rYk3vQ8sLw1TzB6m"
# From this family on the cache reports its writes.
_WRITE_REPORTING: Final = ("gpt-5.6", "gpt-6")
DONE: Final = b"data: [DONE]\n\n"


def completion(reply: Reply) -> JsonObject:
    """Write a chat completion."""
    body: JsonObject = {
        "id": _id(reply),
        "object": "chat.completion",
        "created": reply.created,
        "model": reply.served_model,
        "choices": [_choice(reply, index) for index in range(len(reply.answers))],
    }
    if reply.shows_usage:
        body["usage"] = _usage(reply)
    body["service_tier"] = reply.request.service_tier
    body["system_fingerprint"] = _FINGERPRINT
    return body


def chunks(reply: Reply) -> Iterator[Part]:
    """Write a stream; with several choices their chunks take turns."""
    answers = list(enumerate(reply.answers))
    for index, answer in answers:
        delta = _opening_delta(reply, answer, index)
        yield Part(PartKind.OPENING, _chunk(reply, index, delta, None))
    for row in zip_longest(*(answer.pieces for answer in reply.answers)):
        for index, piece in enumerate(row):
            if piece is not None:
                delta = _piece_delta(reply.answers[index], piece)
                yield Part(PartKind.CONTENT, _chunk(reply, index, delta, None))
    for index, answer in answers:
        finish = _chunk(reply, index, {}, _finish_reason(answer))
        yield Part(PartKind.CLOSING, finish)
    if reply.request.wants_usage_chunk and reply.shows_usage:
        yield Part(PartKind.CLOSING, data_event(_envelope(reply, [], _usage(reply), "")))
    yield Part(PartKind.CLOSING, DONE)


def _id(reply: Reply) -> str:
    return f"chatcmpl-{reply.unique}"


def _call_id(reply: Reply, index: int) -> str:
    return f"call_{reply.unique}{index}"


def _finish_reason(answer: Answer) -> str:
    if answer.is_capped:
        return "length"
    return "tool_calls" if answer.tool else "stop"


def _choice(reply: Reply, index: int) -> JsonObject:
    answer = reply.answers[index]
    message: JsonObject = {"role": "assistant", "content": None if answer.tool else answer.text}
    if answer.tool:
        message["tool_calls"] = [
            {
                "id": _call_id(reply, index),
                "type": "function",
                "function": {"name": answer.tool.name, "arguments": answer.text},
            }
        ]
    message["refusal"] = None
    message["annotations"] = []
    return {
        "index": index,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish_reason(answer),
    }


def _opening_delta(reply: Reply, answer: Answer, index: int) -> JsonObject:
    if answer.tool is None:
        return {"role": "assistant", "content": "", "refusal": None}
    call = _opening_call(answer.tool, _call_id(reply, index))
    return {"role": "assistant", "content": None, "tool_calls": [call], "refusal": None}


def _opening_call(tool: Tool, call_id: str) -> JsonObject:
    function = {"name": tool.name, "arguments": ""}
    return {"index": 0, "id": call_id, "type": "function", "function": function}


def _piece_delta(answer: Answer, piece: str) -> JsonObject:
    if answer.tool is None:
        return {"content": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}


def _chunk(reply: Reply, index: int, delta: JsonObject, finish_reason: str | None) -> bytes:
    choice: JsonObject = {
        "index": index,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    return data_event(_envelope(reply, [choice], None, str(delta.get("content") or "")))


def _envelope(
    reply: Reply, choices: list[JsonObject], usage: JsonObject | None, text: str
) -> JsonObject:
    """Write what all chunks have in common.

    OpenAI pads chunks with random letters to hide their length from a listener on the line; a
    gateway that counts bytes must not take them for text.
    """
    request = reply.request
    envelope: JsonObject = {
        "id": _id(reply),
        "object": "chat.completion.chunk",
        "created": reply.created,
        "model": reply.served_model,
        "service_tier": request.service_tier,
        "system_fingerprint": _FINGERPRINT,
        "choices": choices,
    }
    if request.wants_usage_chunk and reply.shows_usage:
        envelope["usage"] = usage
    if request.is_obfuscated:
        envelope["obfuscation"] = _OBFUSCATION[len(text) % len(_OBFUSCATION) :]
    return envelope


def _usage(reply: Reply) -> JsonObject:
    usage = reply.usage
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": _prompt_details(usage, reply.served_model),
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _prompt_details(usage: Usage, model: str) -> JsonObject:
    details: JsonObject = {"cached_tokens": usage.cached_input_tokens, "audio_tokens": 0}
    written = usage.cache_write_5m + usage.cache_write_1h
    if written or model.startswith(_WRITE_REPORTING):
        details["cache_write_tokens"] = written
    return details
