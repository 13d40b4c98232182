"""The models that the simulator lists, and the dated names under which some are served.

Any other name is served too, under the name it was asked by.
"""

from dataclasses import dataclass
from typing import Final

from simulator.request import JsonObject


@dataclass(frozen=True, slots=True)
class _Claude:
    name: str
    display_name: str
    line: str
    created_on: str
    max_output_tokens: int
    max_input_tokens: int


_SERVED_NAMES: Final = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5.4-mini": "gpt-5.4-mini-2026-03-17",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}

_OPENAI: Final = (
    ("gpt-3.5-turbo-instruct", 1692901427),
    ("text-embedding-ada-002", 1671217299),
    ("text-embedding-3-small", 1705948997),
    ("text-embedding-3-large", 1705953180),
    ("gpt-4o", 1715367049),
    ("gpt-4o-mini", 1721172741),
    ("gpt-4.1", 1744316542),
    ("o4-mini", 1744225351),
    ("gpt-5", 1754425777),
    ("gpt-5-mini", 1754425928),
    ("gpt-5.4-mini", 1773705600),
    ("gpt-5.6-sol", 1782864000),
    ("gpt-6-sol", 1790812800),
    ("gpt-6-luna", 1790812800),
)

_CLAUDES: Final = (
    _Claude("claude-opus-5-5", "Claude Opus 5.5", "opus", "2026-10-01", 128_000, 1_000_000),
    _Claude("claude-sonnet-5-5", "Claude Sonnet 5.5", "sonnet", "2026-10-01", 128_000, 1_000_000),
    _Claude("claude-haiku-5-5", "Claude Haiku 5.5", "haiku", "2026-10-01", 128_000, 1_000_000),
    _Claude("claude-opus-4-5", "Claude Opus 4.5", "opus", "2025-11-01", 64_000, 200_000),
    _Claude("claude-haiku-4-5", "Claude Haiku 4.5", "haiku", "2025-10-01", 64_000, 200_000),
    _Claude("claude-sonnet-4-5", "Claude Sonnet 4.5", "sonnet", "2025-09-29", 64_000, 200_000),
)


def served_name(model: str) -> str:
    """Name the model that serves a request for ``model`` at OpenAI or Anthropic."""
    return _SERVED_NAMES.get(model, model)


def deployed_name(deployment: str) -> str:
    """Name the model that an Azure deployment serves, never with a date: the one whose name the
    deployment's begins with, or one of the deployment's own name.
    """
    names = {*_SERVED_NAMES, *(name for name, _ in _OPENAI)}
    return max(filter(deployment.startswith, names), key=len, default=deployment)


def openai_list() -> JsonObject:
    """List the models in OpenAI's shape."""
    rows = [
        {"id": name, "object": "model", "created": created, "owned_by": "system"}
        for name, created in _OPENAI
    ]
    return {"object": "list", "data": rows}


def anthropic_list() -> JsonObject:
    """List the models in Anthropic's shape, newest first."""
    rows = [_claude_row(claude) for claude in _CLAUDES]
    return {
        "data": rows,
        "has_more": False,
        "first_id": rows[0]["id"],
        "last_id": rows[-1]["id"],
    }


def _claude_row(claude: _Claude) -> JsonObject:
    return {
        "type": "model",
        "id": served_name(claude.name),
        "display_name": claude.display_name,
        "created_at": f"{claude.created_on}T00:00:00Z",
        "lifecycle": "active",
        "line": claude.line,
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": claude.max_input_tokens,
        "max_tokens": claude.max_output_tokens,
    }
