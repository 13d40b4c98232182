"""Reading a chat completion request as strictly as OpenAI does, with its complaints."""

from collections.abc import Iterator
from typing import Final

from simulator.openai_errors import invalid
from simulator.request import (
    JsonObject,
    Request,
    Tool,
    ToolOffer,
    is_reasoning_model,
    last_user_text,
    seed_of,
)
from simulator.usage import json_tokens, messages_tokens

_MOST_CHOICES: Final = 128
_PRIMING_TOKENS: Final = 3
_ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
_SERVED_TIERS: Final = {"flex": "flex", "priority": "priority", "fast": "priority"}


def read_request(body: JsonObject) -> Request:
    """Read a request.

    Raises:
        ApiError: a field is missing or wrong.

    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("you must provide a model parameter")
    messages = _messages(body)
    is_stream = _boolean(body, "stream")
    options = _stream_options(body, is_stream=is_stream)
    seed = seed_of(model, messages)
    return Request(
        model=model,
        prompt=last_user_text(messages),
        seed=seed,
        input_tokens=messages_tokens(messages) + json_tokens(body.get("tools")) + _PRIMING_TOKENS,
        output_cap=_output_cap(body, model),
        is_stream=is_stream,
        tools=_tool_offer(body, messages),
        choices=_integer(body, "n", most=_MOST_CHOICES) or 1,
        wants_usage_chunk=options.get("include_usage") is True,
        is_obfuscated=options.get("include_obfuscation") is not False,
        service_tier=_SERVED_TIERS.get(str(body.get("service_tier")), "default"),
        # A model that thinks does so for a while that depends on the question.
        default_reasoning_tokens=16 + seed % 48 if is_reasoning_model(model) else 0,
    )


def _messages(body: JsonObject) -> list[JsonObject]:
    if body.get("messages") is None:
        raise invalid(
            "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"
        )
    messages = _array(body, "messages")
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
        raise _wrong_type(where, "an object", message)
    role = message.get("role")
    if role is None:
        raise _missing(f"{where}.role")
    if role not in _ROLES:
        known = ", ".join(f"'{name}'" for name in _ROLES[:-1])
        raise invalid(
            f"Invalid value: '{role}'. Supported values are: {known}, and '{_ROLES[-1]}'.",
            f"{where}.role",
            "invalid_value",
        )
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise _wrong_type(f"{where}.content", "one of a string or array of objects", content)
    return message


def _stream_options(body: JsonObject, *, is_stream: bool) -> JsonObject:
    options = body.get("stream_options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise _wrong_type("stream_options", "an object", options)
    if not is_stream:
        raise invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            "stream_options",
        )
    return options


def _output_cap(body: JsonObject, model: str) -> int | None:
    cap, old_cap = _integer(body, "max_completion_tokens"), _integer(body, "max_tokens")
    if old_cap is None:
        return cap
    if cap is not None:
        raise invalid(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            "max_tokens",
            "invalid_parameter_combination",
        )
    if is_reasoning_model(model):
        raise invalid(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
            "'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    return old_cap


def _tool_offer(body: JsonObject, messages: list[JsonObject]) -> ToolOffer:
    tools = list(_tools(body))
    choice = body.get("tool_choice")
    if choice is not None and not tools:
        raise invalid("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
    name = _chosen_name(choice)
    named = next((tool for tool in tools if tool.name == name), None)
    if name is not None and named is None:
        raise invalid(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    # An agent hands in a result and wants words, or its loop would never end.
    if not tools or choice == "none" or messages[-1].get("role") in ("tool", "function"):
        return ToolOffer()
    if choice == "required":
        return ToolOffer(forced=tools[0])
    return ToolOffer(offered=tools[0], forced=named)


def _tools(body: JsonObject) -> Iterator[Tool]:
    if body.get("tools") is None:
        return
    for index, tool in enumerate(_array(body, "tools")):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise _wrong_type(where, "an object", tool)
        if tool.get("type") != "function":
            continue
        function = tool.get("function")
        if not isinstance(function, dict):
            raise _missing(f"{where}.function")
        if not isinstance(function.get("name"), str):
            raise _missing(f"{where}.function.name")
        schema = function.get("parameters")
        yield Tool(function["name"], schema if isinstance(schema, dict) else {})


def _chosen_name(choice: object) -> str | None:
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _array(body: JsonObject, name: str) -> list[object]:
    value = body[name]
    if not isinstance(value, list):
        raise _wrong_type(name, "an array of objects", value)
    return value


def _boolean(body: JsonObject, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _wrong_type(name, "a boolean", value)
    return bool(value)


def _integer(body: JsonObject, name: str, *, most: int | None = None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(name, "an integer", value)
    if value < 1:
        raise _out_of_range(name, value, "below minimum", "a value >= 1")
    if most is not None and value > most:
        raise _out_of_range(name, value, "above maximum", f"a value <= {most}")
    return value


def _out_of_range(name: str, value: int, side: str, expected: str) -> Exception:
    return invalid(
        f"Invalid '{name}': integer {side} value. Expected {expected}, but got {value} instead.",
        name,
        f"integer_{side.replace(' ', '_')}_value",
    )


def _missing(name: str) -> Exception:
    return invalid(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def _wrong_type(name: str, expected: str, value: object) -> Exception:
    return invalid(
        f"Invalid type for '{name}': expected {expected}, but got {_type_words(value)} instead.",
        name,
        "invalid_type",
    )


def _type_words(value: object) -> str:
    names: dict[type, str] = {
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        str: "a string",
        list: "an array",
        dict: "an object",
    }
    return names.get(type(value), "null")
