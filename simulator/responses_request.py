"""Reading a request for a response as strictly as OpenAI does, with its complaints."""

from typing import Final

from simulator.openai_errors import invalid
from simulator.openai_fields import (
    boolean,
    integer,
    missing,
    read_model,
    read_stream_options,
    read_tier,
    wrong_type,
    wrong_value,
)
from simulator.openai_tools import offer_of, read_response_tools
from simulator.request import JsonObject, Keeping, Request, default_reasoning, seed_of
from simulator.usage import content_tokens, json_tokens, message_tokens
from simulator.vendor import Vendor

_LEAST_CAP: Final = 16
_PRIMING_TOKENS: Final = 3
_ITEM_TOKENS: Final = 4
_ROLES: Final = ("assistant", "system", "developer", "user")
# Fields of a chat that clients send by mistake, and where they are here.
_MOVED: Final = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
}
# What a response repeats of its request, with what it says otherwise.
_ECHOED: Final[JsonObject] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def read_response(body: JsonObject, vendor: Vendor, *, context_tokens: int) -> Request:
    """Read a request; ``context_tokens`` are those of the response that it goes on from.

    Raises:
        ApiError: a field is missing or wrong.

    """
    model = read_model(body)
    _refuse_moved(body)
    items = _items(body)
    is_stream = boolean(body, "stream")
    options = read_stream_options(body, vendor, is_stream=is_stream)
    if "include_usage" in options:
        name = "stream_options.include_usage"
        raise invalid(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    seed = seed_of(model, items)
    return Request(
        model=model,
        seed=seed,
        input_tokens=context_tokens + _input_tokens(body, items),
        output_cap=integer(body, "max_output_tokens", least=_LEAST_CAP),
        is_stream=is_stream,
        tools=offer_of(
            read_response_tools(body),
            body.get("tool_choice"),
            # An agent hands in a result and wants words, or its loop would never end.
            wants_words=items[-1].get("type") == "function_call_output",
        ),
        is_obfuscated=options.get("include_obfuscation") is not False,
        service_tier=read_tier(body),
        default_reasoning_tokens=default_reasoning(model, seed),
        keeping=_keeping(body),
        echo={name: _told(body, name) for name in _ECHOED},
    )


def _told(body: JsonObject, name: str) -> object:
    value = body.get(name)
    return _ECHOED[name] if value is None else value


def _refuse_moved(body: JsonObject) -> None:
    for name in _MOVED.keys() & body.keys():
        raise invalid(
            f"Unsupported parameter: '{name}'. In the Responses API, this parameter has moved to "
            f"'{_MOVED[name]}'. Try again with the new parameter.",
            name,
            "unsupported_parameter",
        )


def _items(body: JsonObject) -> list[JsonObject]:
    value = body.get("input")
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if value is None:
        raise missing("input")
    if not isinstance(value, list):
        raise wrong_type("input", "one of a string or array of input items", value)
    if not value:
        raise invalid(
            "Invalid 'input': empty array. Expected an array with minimum length 1, but got an "
            "empty array instead.",
            "input",
            "empty_array",
        )
    return [_item(item, f"input[{index}]") for index, item in enumerate(value)]


def _item(item: object, where: str) -> JsonObject:
    if not isinstance(item, dict):
        raise wrong_type(where, "an object", item)
    if item.get("type", "message") != "message":
        return item
    role = item.get("role")
    if role is None:
        raise missing(f"{where}.role")
    if role not in _ROLES:
        raise wrong_value(where, role, _ROLES)
    return item


def _keeping(body: JsonObject) -> Keeping:
    is_stored = boolean(body, "store", default=True)
    is_background = boolean(body, "background")
    if is_background and not is_stored:
        raise invalid("Background mode requires 'store' to be true.", "background")
    return Keeping(is_stored=is_stored, is_background=is_background)


def _input_tokens(body: JsonObject, items: list[JsonObject]) -> int:
    return (
        sum(map(_item_tokens, items))
        + content_tokens(body.get("instructions"))
        + json_tokens(body.get("tools"))
        + _PRIMING_TOKENS
    )


def _item_tokens(item: JsonObject) -> int:
    kind = item.get("type", "message")
    if kind == "message":
        return message_tokens(item)
    if kind == "function_call_output":
        return _ITEM_TOKENS + content_tokens(item.get("output"))
    return json_tokens(item)
