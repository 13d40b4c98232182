"""Counting tokens, by a rule that anyone can repeat on paper.

A text of B bytes in UTF-8 has B/4 tokens, rounded up. A message costs four more, and an image,
sound or file counts 85 whatever its size. Anything else (tools, tool calls) counts as the text of
its compact JSON. Real tokenizers differ; nothing here may be used to price a real call.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from simulator.request import TEXT_PARTS

_BYTES_PER_TOKEN: Final = 4
_MESSAGE_TOKENS: Final = 4
_MEDIA_TOKENS: Final = 85
_MEDIA_PARTS: Final = frozenset(
    {
        "image_url",
        "input_audio",
        "input_image",
        "input_file",
        "file",
        "image",
        "document",
        "container_upload",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one call is billed for. Cached and written input is within ``input_tokens``, hidden
    reasoning within ``output_tokens``.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Input tokens that a prompt cache gave and took."""

    read: int = 0
    write_5m: int = 0
    write_1h: int = 0


def text_tokens(text: str) -> int:
    """Count the tokens of a text."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def json_tokens(value: object) -> int:
    """Count the tokens of a value as compact JSON; nothing and an empty list count 0."""
    if value is None or value == []:
        return 0
    return -(-len(orjson.dumps(value)) // _BYTES_PER_TOKEN)


def message_tokens(message: Mapping[str, object]) -> int:
    """Count one message of either dialect, its tool calls included."""
    return (
        _MESSAGE_TOKENS
        + content_tokens(message.get("content"))
        + json_tokens(message.get("tool_calls"))
    )


def content_tokens(content: object) -> int:
    """Count the content of a message: a text, or a list of parts of either dialect."""
    if isinstance(content, str):
        return text_tokens(content)
    if isinstance(content, list):
        return sum(map(_part_tokens, content))
    return json_tokens(content)


def messages_tokens(messages: Iterable[Mapping[str, object]]) -> int:
    """Count a conversation."""
    return sum(map(message_tokens, messages))


def _part_tokens(part: object) -> int:
    if not isinstance(part, dict):
        return content_tokens(part)
    kind = part.get("type")
    if kind in TEXT_PARTS:
        return content_tokens(part.get("text"))
    if kind in _MEDIA_PARTS:
        return _MEDIA_TOKENS
    if kind == "tool_result":
        return content_tokens(part.get("content"))
    return json_tokens(part)
