"""Reading the tools of a request, as a chat or a response offers them."""

from collections.abc import Iterator

from simulator.openai_errors import invalid
from simulator.openai_fields import array, missing, wrong_type
from simulator.request import JsonObject, Tool, ToolOffer


def read_chat_tools(body: JsonObject) -> list[Tool]:
    """Read the functions of a chat, which are within an object ``function``."""
    tools = []
    for where, tool in _functions(body):
        function = tool.get("function")
        if not isinstance(function, dict):
            raise missing(f"{where}.function")
        tools.append(_tool(function, f"{where}.function"))
    return tools


def read_response_tools(body: JsonObject) -> list[Tool]:
    """Read the functions of a response, which have nothing around them."""
    return [_tool(tool, where) for where, tool in _functions(body)]


def offer_of(tools: list[Tool], choice: object, *, wants_words: bool) -> ToolOffer:
    """Find the tool that an answer may call and the one it must call."""
    name = _chosen_name(choice)
    named = next((tool for tool in tools if tool.name == name), None)
    if name is not None and named is None:
        raise invalid(f"Tool choice '{name}' not found in 'tools' parameter.", "tool_choice")
    if not tools or choice == "none" or wants_words:
        return ToolOffer()
    if choice == "required":
        return ToolOffer(forced=tools[0])
    return ToolOffer(offered=tools[0], forced=named)


def _functions(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Yield the tools that the caller runs; others run at the vendor and are never called."""
    if body.get("tools") is None:
        return
    for index, tool in enumerate(array(body, "tools")):
        where = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise wrong_type(where, "an object", tool)
        if tool.get("type") == "function":
            yield where, tool


def _tool(function: JsonObject, where: str) -> Tool:
    name, schema = function.get("name"), function.get("parameters")
    if not isinstance(name, str):
        raise missing(f"{where}.name")
    return Tool(name, schema if isinstance(schema, dict) else {})


def _chosen_name(choice: object) -> str | None:
    if not isinstance(choice, dict):
        return None
    function = choice.get("function", choice)
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None
