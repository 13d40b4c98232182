"""A request after its dialect has read it, and the reading that all dialects share."""

import zlib
from dataclasses import dataclass, field
from typing import Final, Literal

import orjson

JsonObject = dict[str, object]
Thinking = Literal["summarized", "omitted"]

# How a text is marked in a message, what a user says and what a model said.
TEXT_PARTS: Final = ("text", "input_text", "output_text")
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


@dataclass(frozen=True, slots=True)
class Vectors:
    """The vectors that are asked for, one for each seed."""

    seeds: tuple[int, ...]
    dimensions: int
    is_base64: bool = False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What becomes of a response once it is made."""

    is_stored: bool = True
    is_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every address asks for, then what only some of them know.

    ``choices`` is 0 where nothing is said, only counted. ``echo`` is what the answer repeats.
    """

    model: str
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
    thinking: Thinking | None = None
    wants_running_usage: bool = False
    vectors: Vectors | None = None
    keeping: Keeping = Keeping()
    echo: JsonObject = field(default_factory=dict)


def is_reasoning_model(model: str) -> bool:
    """Tell whether a model thinks before it answers, going by its name."""
    return "thinking" in model or model.startswith(_REASONING_FAMILIES)


def seed_of(*parts: object) -> int:
    """Turn what was asked into a number: the same question gets the same answer, streamed or not,
    and whatever a gateway adds around it.
    """
    return zlib.crc32(orjson.dumps(parts))


def default_reasoning(model: str, seed: int) -> int:
    """Count the tokens of a model that thinks: a while that depends on the question."""
    return usual_reasoning(seed) if is_reasoning_model(model) else 0


def usual_reasoning(seed: int) -> int:
    """Count the tokens of thinking about a question."""
    return 16 + seed % 48


def prompt_of(body: JsonObject) -> str:
    """Find the text that may have markers: the last user message, or the bare text or texts of an
    address without messages.
    """
    texts = (_prompt_in(body.get(name)) for name in ("messages", "input", "prompt"))
    return next(filter(None, texts), "")


def _prompt_in(value: object) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [item for item in value if isinstance(item, str)]
    return "\n".join(texts) if texts else _last_user_text(value)


def _last_user_text(messages: list[object]) -> str:
    """Find the text of the last user message that has any; a tool's result is not text."""
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
        and part.get("type") in TEXT_PARTS
        and isinstance(part.get("text"), str)
    )
