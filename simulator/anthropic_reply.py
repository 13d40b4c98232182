"""Writing a reply as a message, whole or as a stream of events."""

from collections.abc import Iterator
from typing import Final

import orjson

from simulator.answer import Answer
from simulator.anthropic_thinking import thinking_block, thinking_deltas
from simulator.reply import Reply
from simulator.request import JsonObject
from simulator.wire import Part, PartKind, named_event

# The start of a stream reports some output before there is any.
_PROVISIONAL_OUTPUT: Final = 1


def message(reply: Reply) -> JsonObject:
    """Write a message."""
    answer = reply.answers[0]
    thinking = thinking_block(reply)
    blocks = [thinking] if thinking else []
    if _has_words(reply):
        blocks.append(_block(reply, answer))
    body = _envelope(reply, blocks)
    body["stop_reason"] = _stop_reason(answer)
    if reply.shows_usage:
        body["usage"] = _usage(reply, reply.usage.output_tokens)
    return body


def events(reply: Reply) -> Iterator[Part]:
    """Write a stream."""
    yield _opening("message_start", {"message": _start_message(reply)})
    thinking = thinking_block(reply)
    if thinking:
        yield from _thinking_events(thinking)
    if _has_words(reply):
        yield from _answer_events(reply, index=1 if thinking else 0)
    yield _closing("message_delta", _message_delta(reply, reply.answers[0]))
    yield _closing("message_stop", {})


def _has_words(reply: Reply) -> bool:
    """Tell whether there is an answer: thinking that is shown may have used up the cap."""
    answer = reply.answers[0]
    return bool(answer.pieces) or not answer.is_capped or not reply.request.thinking


def _thinking_events(block: JsonObject) -> Iterator[Part]:
    empty: JsonObject = {"type": "thinking", "thinking": "", "signature": ""}
    yield _opening("content_block_start", {"index": 0, "content_block": empty})
    for delta in thinking_deltas(block):
        yield _opening("content_block_delta", {"index": 0, "delta": delta})
    yield _opening("content_block_stop", {"index": 0})


def _answer_events(reply: Reply, index: int) -> Iterator[Part]:
    answer = reply.answers[0]
    block = _opening_block(reply, answer)
    yield _opening("content_block_start", {"index": index, "content_block": block})
    yield _opening("ping", {})
    if answer.tool:
        yield _opening("content_block_delta", {"index": index, "delta": _delta(answer, "")})
    for piece in answer.pieces:
        fields: JsonObject = {"index": index, "delta": _delta(answer, piece)}
        yield Part(PartKind.CONTENT, _event("content_block_delta", fields))
    yield _closing("content_block_stop", {"index": index})


def _event(name: str, fields: JsonObject) -> bytes:
    return named_event(name, {"type": name, **fields})


def _opening(name: str, fields: JsonObject) -> Part:
    return Part(PartKind.OPENING, _event(name, fields))


def _closing(name: str, fields: JsonObject) -> Part:
    return Part(PartKind.CLOSING, _event(name, fields))


def _envelope(reply: Reply, content: list[JsonObject]) -> JsonObject:
    return {
        "model": reply.served_model,
        "id": f"msg_01{reply.unique}",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _start_message(reply: Reply) -> JsonObject:
    start = _envelope(reply, [])
    if reply.shows_usage:
        start["usage"] = _usage(reply, min(_PROVISIONAL_OUTPUT, reply.usage.output_tokens))
    return start


def _message_delta(reply: Reply, answer: Answer) -> JsonObject:
    delta: JsonObject = {
        "delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None},
    }
    if reply.shows_usage:
        delta["usage"] = {
            **_input_usage(reply),
            "output_tokens": reply.usage.output_tokens,
            **_output_details(reply),
        }
    return delta


def _stop_reason(answer: Answer) -> str:
    if answer.is_capped:
        return "max_tokens"
    return "tool_use" if answer.tool else "end_turn"


def _block(reply: Reply, answer: Answer) -> JsonObject:
    if answer.tool is None:
        return {"type": "text", "text": answer.text}
    # A whole message has its input as JSON; one that the cap cut short has none.
    arguments = {} if answer.is_capped else orjson.loads(answer.text)
    return {**_opening_block(reply, answer), "input": arguments}


def _opening_block(reply: Reply, answer: Answer) -> JsonObject:
    if answer.tool is None:
        return {"type": "text", "text": ""}
    return {
        "type": "tool_use",
        "id": f"toolu_01{reply.unique}",
        "name": answer.tool.name,
        "input": {},
    }


def _delta(answer: Answer, piece: str) -> JsonObject:
    if answer.tool is None:
        return {"type": "text_delta", "text": piece}
    return {"type": "input_json_delta", "partial_json": piece}


def _usage(reply: Reply, output_tokens: int) -> JsonObject:
    return {
        **_input_usage(reply),
        "cache_creation": {
            "ephemeral_5m_input_tokens": reply.usage.cache_write_5m,
            "ephemeral_1h_input_tokens": reply.usage.cache_write_1h,
        },
        "output_tokens": output_tokens,
        **_output_details(reply),
        "service_tier": "standard",
    }


def _input_usage(reply: Reply) -> JsonObject:
    """Report the input as three counts that have nothing in common."""
    usage = reply.usage
    written = usage.cache_write_5m + usage.cache_write_1h
    return {
        "input_tokens": max(0, usage.input_tokens - usage.cached_input_tokens - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": usage.cached_input_tokens,
    }


def _output_details(reply: Reply) -> JsonObject:
    thinking = reply.usage.reasoning_tokens
    return {"output_tokens_details": {"thinking_tokens": thinking}} if thinking else {}
