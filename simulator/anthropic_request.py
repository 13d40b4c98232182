"""Reading a request for a message as strictly as Anthropic does, with its complaints."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b
from typing import Final, Literal

import orjson

from simulator.anthropic_errors import invalid
from simulator.anthropic_thinking import read_thinking
from simulator.request import (
    CacheBlock,
    JsonObject,
    Request,
    Tool,
    ToolOffer,
    seed_of,
    usual_reasoning,
)
from simulator.usage import content_tokens, json_tokens, messages_tokens

_FORCING: Final = ("any", "tool")
_ROLES: Final = ("user", "assistant")


def read_request(body: JsonObject) -> Request:
    """Read a request.

    Raises:
        ApiError: a field is missing or wrong.

    """
    counted = read_count(body)
    cap = _max_tokens(body)
    thinking = read_thinking(body, cap)
    return replace(
        counted,
        output_cap=cap,
        is_stream=_is_stream(body),
        choices=1,
        cache_blocks=_cache_blocks(body, _messages(body)),
        thinking=thinking,
        default_reasoning_tokens=usual_reasoning(counted.seed) if thinking else 0,
    )


def read_count(body: JsonObject) -> Request:
    """Read what a request has as its input, without an answer to it.

    Raises:
        ApiError: a field is missing or wrong.

    """
    model = _required(body, "model")
    if not isinstance(model, str):
        raise invalid("model: Input should be a valid string")
    if not model:
        raise invalid("model: String should have at least 1 character")
    messages = _messages(body)
    system = body.get("system")
    return Request(
        model=model,
        seed=seed_of(model, system, messages),
        input_tokens=(
            content_tokens(system) + messages_tokens(messages) + json_tokens(body.get("tools"))
        ),
        output_cap=None,
        is_stream=False,
        tools=_tool_offer(body, list(_tools(body)), messages),
        choices=0,
    )


def _required(body: JsonObject, name: str, where: str = "") -> object:
    value = body.get(name)
    if value is None:
        raise invalid(f"{where}{name}: Field required")
    return value


def _messages(body: JsonObject) -> list[JsonObject]:
    messages = _required(body, "messages")
    if not isinstance(messages, list):
        raise invalid("messages: Input should be a valid list")
    if not messages:
        raise invalid("messages: at least one message is required")
    return [_message(message, f"messages.{index}") for index, message in enumerate(messages)]


def _message(message: object, where: str) -> JsonObject:
    if not isinstance(message, dict):
        raise invalid(f"{where}: Input should be an object")
    role = _required(message, "role", f"{where}.")
    if role not in _ROLES:
        raise invalid(
            f'messages: Unexpected role "{role}". The Messages API accepts a top-level `system` '
            'parameter, not "system" as an input message role.'
            if role == "system"
            else f"{where}.role: Input should be 'user' or 'assistant'"
        )
    content = _required(message, "content", f"{where}.")
    if not isinstance(content, str | list):
        raise invalid(f"{where}.content: Input should be a valid list")
    return message


def _max_tokens(body: JsonObject) -> int:
    cap = _required(body, "max_tokens")
    if not isinstance(cap, int) or isinstance(cap, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if cap < 1:
        raise invalid("max_tokens: must be greater than or equal to 1")
    return cap


def _is_stream(body: JsonObject) -> bool:
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise invalid("stream: Input should be a valid boolean")
    return bool(stream)


def _tools(body: JsonObject) -> Iterator[Tool]:
    tools = body.get("tools")
    if tools is None:
        return
    if not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise invalid(f"tools.{index}: Input should be an object")
        # A tool with a type of its own (web_search_...) runs at the vendor and is never called.
        if tool.get("type", "custom") != "custom":
            continue
        name = _required(tool, "name", f"tools.{index}.custom.")
        schema = _required(tool, "input_schema", f"tools.{index}.custom.")
        yield Tool(str(name), schema if isinstance(schema, dict) else {})


def _tool_offer(body: JsonObject, tools: list[Tool], messages: list[JsonObject]) -> ToolOffer:
    choice = body.get("tool_choice")
    kind, name = (choice.get("type"), choice.get("name")) if isinstance(choice, dict) else ("", "")
    if kind in _FORCING and not body.get("tools"):
        raise invalid("tool_choice may only be specified while providing tools.")
    named = next((tool for tool in tools if tool.name == name), None)
    if kind == "tool" and named is None:
        raise invalid(f"Tool '{name}' not found in provided tools")
    # An agent hands in a result and wants words, or its loop would never end.
    if not tools or kind == "none" or _hands_in_result(messages[-1]):
        return ToolOffer()
    if kind == "any":
        return ToolOffer(forced=tools[0])
    return ToolOffer(offered=tools[0], forced=named)


def _hands_in_result(message: JsonObject) -> bool:
    content = message["content"]
    return isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )


def _cache_blocks(body: JsonObject, messages: list[JsonObject]) -> tuple[CacheBlock, ...]:
    """List every prefix of the prompt that ends with a block, in the vendor's order.

    ``cache_control`` is no part of the prefix: a mark that moves on leaves it the same.
    """
    blocks = list(_blocks(body, messages))
    default = _mark(body)
    if default is None and not any(_mark(block) for _, block in blocks):
        return ()
    digest = blake2b(str(body["model"]).encode(), digest_size=16)
    tokens = 0
    prefixes = []
    for role, block in blocks:
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        digest.update(orjson.dumps([role, bare]))
        tokens += content_tokens([bare])
        prefixes.append(CacheBlock(digest.digest(), tokens, _mark(block)))
    if default is not None and prefixes:
        last = prefixes[-1]
        prefixes[-1] = CacheBlock(last.digest, last.tokens, last.mark or default)
    return tuple(prefixes)


def _blocks(body: JsonObject, messages: list[JsonObject]) -> Iterator[tuple[str, JsonObject]]:
    """Yield tools, then system, then messages; each block with where it belongs."""
    contents = [("tools", body.get("tools")), ("system", body.get("system"))]
    contents += [(str(message["role"]), message["content"]) for message in messages]
    for role, content in contents:
        if isinstance(content, str):
            yield role, {"type": "text", "text": content}
        elif isinstance(content, list):
            yield from ((role, part) for part in content if isinstance(part, dict))


def _mark(block: JsonObject) -> Literal["5m", "1h"] | None:
    control = block.get("cache_control")
    if not isinstance(control, dict):
        return None
    return "1h" if control.get("ttl") == "1h" else "5m"
