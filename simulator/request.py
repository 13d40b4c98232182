"""A request after its dialect has read it, and the reading that both dialects share."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import orjson

JsonObject = dict[str, object]

_REASONING_FAMILIES: Final = ("o1", "o3", "o4", "gpt-5", "gpt-6")


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call; ``schema`` is the JSON Schema of its arguments."""

    name: str
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """The tool that an answer calls if the prompt asks for one, and the one it must call."""

    offered: Tool | None = None
    forced: Tool | None = None


@dataclass(frozen=True, slots=True)
class CacheBlock:
    """A prefix of the prompt: its digest, its tokens so far, and the retention if it is marked."""

    digest: bytes
    tokens: int
    mark: Literal["5m", "1h"] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What both dialects ask for, then what only one of them knows."""

    model: str
    prompt: str
    seed: int
    input_tokens: int
    output_cap: int | None
    is_stream: bool
    tools: ToolOffer
    choices: int = 1
    wants_usage_chunk: bool = False
    is_obfuscated: bool = True
    service_tier: str = "default"
    default_reasoning_tokens: int = 0
    cache_blocks: tuple[CacheBlock, ...] = ()


def is_reasoning_model(model: str) -> bool:
    """Tell whether a model thinks before it answers, going by its name."""
    return "thinking" in model or model.startswith(_REASONING_FAMILIES)


def seed_of(*parts: object) -> int:
    """Turn what was asked into a number: the same question gets the same answer, streamed or not,
    and whatever a gateway adds around it.
    """
    return zlib.crc32(orjson.dumps(parts))


def last_user_text(messages: object) -> str:
    """Find the text of the last user message that has any; a tool's result is not text."""
    if not isinstance(messages, Sequence):
        return ""
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            text = _text_of(message.get("content"))
            if text:
                return text
    return ""


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(
        part["text"]
        for part in content
        if isinstance(part, dict)
        and part.get("type") == "text"
        and isinstance(part.get("text"), str)
    )
