"""Reading a chat completion request."""

from typing import Final

from simulator.openai_errors import invalid
from simulator.openai_fields import (
    array,
    boolean,
    integer,
    missing,
    read_model,
    read_stream_options,
    read_tier,
    refuse_foreign,
    wrong_type,
    wrong_value,
)
from simulator.openai_tools import offer_of, read_chat_tools
from simulator.request import (
    JsonObject,
    Request,
    default_reasoning,
    is_reasoning_model,
    seed_of,
)
from simulator.usage import json_tokens, messages_tokens
from simulator.vendor import Vendor

MOST_CHOICES: Final = 128
_PRIMING_TOKENS: Final = 3
_ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")


def read_request(body: JsonObject, vendor: Vendor) -> Request:
    """Read a request.

    Raises:
        ApiError: a field is missing or wrong.

    """
    model = read_model(body)
    refuse_foreign(body, vendor)
    messages = _messages(body)
    is_stream = boolean(body, "stream")
    options = read_stream_options(body, vendor, is_stream=is_stream)
    caps = integer(body, "max_completion_tokens"), integer(body, "max_tokens")
    tools = read_chat_tools(body)
    if vendor.is_strict:
        _check_combinations(body, caps=caps, has_tools=bool(tools))
    # An agent hands in a result and wants words, or its loop would never end.
    hands_in_result = messages[-1].get("role") in ("tool", "function")
    seed = seed_of(model, messages)
    return Request(
        model=model,
        seed=seed,
        input_tokens=messages_tokens(messages) + json_tokens(body.get("tools")) + _PRIMING_TOKENS,
        output_cap=next((cap for cap in caps if cap is not None), None),
        is_stream=is_stream,
        tools=offer_of(tools, body.get("tool_choice"), wants_words=hands_in_result),
        choices=integer(body, "n", most=MOST_CHOICES) or 1,
        wants_usage_chunk=options.get("include_usage") is True,
        wants_running_usage=options.get("continuous_usage_stats") is True,
        is_obfuscated=options.get("include_obfuscation") is not False,
        service_tier=read_tier(body),
        default_reasoning_tokens=default_reasoning(model, seed),
    )


def _messages(body: JsonObject) -> list[JsonObject]:
    if body.get("messages") is None:
        raise missing("messages")
    messages = array(body, "messages")
    if not messages:
        raise invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            "messages",
            "empty_array",
        )
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _message(message: object, where: str) -> JsonObject:
    if not isinstance(message, dict):
        raise wrong_type(where, "an object", message)
    role = message.get("role")
    if role is None:
        raise missing(f"{where}.role")
    if role not in _ROLES:
        raise wrong_value(f"{where}.role", role, _ROLES)
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise wrong_type(f"{where}.content", "one of a string or array of objects", content)
    return message


def _check_combinations(
    body: JsonObject, *, caps: tuple[int | None, int | None], has_tools: bool
) -> None:
    """Refuse what OpenAI does not allow together."""
    cap, old_cap = caps
    if cap is not None and old_cap is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    if old_cap is not None and is_reasoning_model(str(body["model"])):
        raise invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if body.get("tool_choice") is not None and not has_tools:
        raise invalid("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
