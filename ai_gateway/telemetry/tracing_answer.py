"""The answer of a call as LangSmith shows it: JSON as it came, a stream put together again.

Works on what may be cut off or no JSON at all, and never raises.
"""

from collections.abc import Iterator
from contextlib import suppress

import orjson

Json = dict[str, object]

CUT_OFF = "cut_off"
"""The name of a text that is no whole JSON object (any more)."""


def shown_body(body: bytes) -> Json:
    """A request, or an answer in one piece."""
    if not body:
        return {}
    with suppress(orjson.JSONDecodeError):
        found = orjson.loads(body)
        return found if isinstance(found, dict) else {"value": found}
    return {CUT_OFF: body.decode(errors="replace")}


def shown_stream(events: bytes) -> Json:
    """The text of a stream and the arguments of its tools, as one message."""
    texts: list[str] = []
    tools: dict[int, Json] = {}
    for event in _events(events):
        texts += _texts(event)
        for index, name, arguments in _tool_parts(event):
            tool = tools.setdefault(index, {"name": "", "arguments": ""})
            tool["name"] = tool["name"] or name
            tool["arguments"] = f"{tool['arguments']}{arguments}"
    if not events:
        return {}
    message: Json = {"role": "assistant", "content": "".join(texts)}
    if tools:
        message["tool_calls"] = [
            {"type": "function", "function": tools[index]} for index in sorted(tools)
        ]
    return {"choices": [{"message": message}]}


def _events(events: bytes) -> Iterator[Json]:
    for line in events.splitlines():
        if line.startswith(b"data:"):
            with suppress(orjson.JSONDecodeError):
                event = orjson.loads(line[5:])
                if isinstance(event, dict):
                    yield event


def _texts(event: Json) -> list[str]:
    delta = event.get("delta")
    if event.get("type") == "response.output_text.delta":
        return [delta] if isinstance(delta, str) else []
    found = [_dict(delta).get("text")]
    choice = _first(event.get("choices"))
    found += [_dict(choice.get("delta")).get("content"), choice.get("text")]
    return [text for text in found if isinstance(text, str)]


def _tool_parts(event: Json) -> Iterator[tuple[int, str, str]]:
    """Index of the tool call, its name where it is told, and a part of its arguments."""
    index = event.get("index") or event.get("output_index")
    position = index if isinstance(index, int) else 0
    block = _dict(event.get("content_block") or event.get("item"))
    if block.get("type") in {"tool_use", "function_call"}:
        yield position, _text(block.get("name")), ""
    if event.get("type") == "response.function_call_arguments.delta":
        yield position, "", _text(event.get("delta"))
    partial = _dict(event.get("delta")).get("partial_json")
    if isinstance(partial, str):
        yield position, "", partial
    calls = _dict(_first(event.get("choices")).get("delta")).get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        number, function = _dict(call).get("index"), _dict(_dict(call).get("function"))
        place = number if isinstance(number, int) else 0
        yield place, _text(function.get("name")), _text(function.get("arguments"))


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _first(value: object) -> Json:
    return _dict(value[0]) if isinstance(value, list) and value else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
