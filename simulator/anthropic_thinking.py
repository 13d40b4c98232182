"""Extended thinking: how it is asked for, and the block that shows it."""

from collections.abc import Iterator
from typing import Final

from simulator.anthropic_errors import invalid
from simulator.reply import Reply
from simulator.request import JsonObject, Thinking

_LEAST_BUDGET: Final = 1_024
_FORCING: Final = ("any", "tool")
_THINKING: Final = ("adaptive", "enabled", "between_tools")
_SUMMARY: Final = ("The question is ", "a pleasant one. ", "Words will do.")
_SIGNATURE: Final = "EqQBCkYIBxgCKkBzaW11bGF0b3JzaW11bGF0b3JzaW11bGF0b3I="


def read_thinking(body: JsonObject, cap: int) -> Thinking | None:
    """Read whether thinking is wanted, and how it is shown.

    Raises:
        ApiError: the wish is wrong, or does not go with the rest.

    """
    wish = body.get("thinking")
    if wish is None:
        return None
    if not isinstance(wish, dict):
        raise invalid("thinking: Input should be an object")
    kind = wish.get("type")
    if kind == "disabled":
        return None
    if kind not in _THINKING:
        raise invalid(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected "
            "tags: 'adaptive', 'disabled', 'enabled'"
        )
    if kind == "enabled":
        _check_budget(wish.get("budget_tokens"), cap)
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in _FORCING:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    return "omitted" if wish.get("display") == "omitted" else "summarized"


def thinking_block(reply: Reply) -> JsonObject | None:
    """Write the block of a whole message, if it shows any; its text is no measure of the tokens."""
    shown = reply.request.thinking
    if shown is None or not reply.usage.reasoning_tokens:
        return None
    text = "".join(_SUMMARY) if shown == "summarized" else ""
    return {"type": "thinking", "thinking": text, "signature": _SIGNATURE}


def thinking_deltas(block: JsonObject) -> Iterator[JsonObject]:
    """Write what a stream adds to an empty block."""
    if block["thinking"]:
        for piece in _SUMMARY:
            yield {"type": "thinking_delta", "thinking": piece}
    yield {"type": "signature_delta", "signature": block["signature"]}


def _check_budget(budget: object, cap: int) -> None:
    where = "thinking.enabled.budget_tokens"
    if budget is None:
        raise invalid(f"{where}: Field required")
    if not isinstance(budget, int) or isinstance(budget, bool):
        raise invalid(f"{where}: Input should be a valid integer")
    if budget < _LEAST_BUDGET:
        raise invalid(f"{where}: Input should be greater than or equal to {_LEAST_BUDGET}")
    if budget >= cap:
        raise invalid(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our "
            "documentation at https://docs.claude.com/en/docs/build-with-claude/"
            "extended-thinking#max-tokens-and-context-window-size"
        )
