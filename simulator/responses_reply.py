"""Writing a reply as a response object, in each of its states."""

import time
from typing import Final

from simulator.billing import usage_values
from simulator.openai_errors import broken
from simulator.reply import Reply
from simulator.request import JsonObject
from simulator.template import filled
from simulator.vendor import Vendor

_ENCRYPTED: Final = "gAAAAABsimulatorsimulatorsimulatorsimulator"
_USAGE: Final[JsonObject] = {
    "input_tokens": "$input",
    "input_tokens_details": {
        "cached_tokens": "$cached",
        "cache_write_tokens": "$all_written",
        "cache_write_tokens_details": "?write_details",
    },
    "output_tokens": "$output",
    "output_tokens_details": {"reasoning_tokens": "$reasoning"},
    "total_tokens": "$total",
}


def response_id(reply: Reply) -> str:
    """Name a response."""
    return f"resp_{reply.unique}"


def unfinished(reply: Reply, status: str) -> JsonObject:
    """Write a response that is ``queued``, ``in_progress`` or ``cancelled``: it has no usage."""
    return _response(reply, status)


def failed(reply: Reply) -> JsonObject:
    """Write a response that failed; it tells no usage, though what was made is billed."""
    error = {"code": "server_error", "message": broken().message}
    return _response(reply, "failed") | {"error": error}


def finished(reply: Reply, vendor: Vendor) -> JsonObject:
    """Write a response that came to its end, if only by the cap."""
    fields: JsonObject = {
        "output": output_items(reply),
        "usage": _usage(reply, vendor) if reply.shows_usage else None,
    }
    if reply.answers[0].is_capped:
        reason = {"incomplete_details": {"reason": "max_output_tokens"}}
        return _response(reply, "incomplete") | reason | fields
    return _response(reply, "completed") | {"completed_at": int(time.time())} | fields


def output_items(reply: Reply) -> list[JsonObject]:
    """Write what a response is made of: reasoning, then a message or a call of a function."""
    answer = reply.answers[0]
    items: list[JsonObject] = []
    if reply.usage.reasoning_tokens:
        items.append(
            {
                "id": f"rs_{reply.unique}",
                "type": "reasoning",
                "summary": [],
                "encrypted_content": _ENCRYPTED,
            }
        )
        if answer.is_capped and not answer.pieces:
            return items
    items.append(_call_item(reply) if answer.tool else _message_item(reply))
    return items


def text_part(text: str) -> JsonObject:
    """Write the content of a message."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message_item(reply: Reply) -> JsonObject:
    return {
        "id": f"msg_{reply.unique}",
        "type": "message",
        "status": _item_status(reply),
        "role": "assistant",
        "content": [text_part(reply.answers[0].text)],
    }


def _call_item(reply: Reply) -> JsonObject:
    answer = reply.answers[0]
    return {
        "id": f"fc_{reply.unique}",
        "type": "function_call",
        "status": _item_status(reply),
        "arguments": answer.text,
        "call_id": f"call_{reply.unique}",
        "name": answer.tool.name if answer.tool else "",
    }


def _item_status(reply: Reply) -> str:
    return "incomplete" if reply.answers[0].is_capped else "completed"


def _response(reply: Reply, status: str) -> JsonObject:
    return {
        "id": response_id(reply),
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "model": reply.served_model,
        "output": [],
        "service_tier": reply.request.service_tier,
        "usage": None,
        **reply.request.echo,
    }


def _usage(reply: Reply, vendor: Vendor) -> JsonObject:
    """Write the usage; here every vendor counts the reasoning within the output."""
    usage = reply.usage
    written = usage.cache_write_5m + usage.cache_write_1h
    by_retention = {
        "ttl_30m_tokens": usage.cache_write_5m,
        "ttl_12h_tokens": usage.cache_write_1h,
    }
    values = usage_values(usage, reply.served_model) | {
        "all_written": written,
        "write_details": by_retention if written else None,
    }
    return filled({**_USAGE, **vendor.costs}, values)
