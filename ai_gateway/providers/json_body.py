"""Reads a request body once, within bounds; what was checked is what is sent on."""

from collections.abc import Iterable, Mapping
from typing import cast

import orjson

from ai_gateway.domain.call import JsonObject
from ai_gateway.errors import InvalidRequest

MAX_DEPTH = 64
MAX_BRACKETS = 500_000
"""Opening ones, those within texts too: 20 MB of `[]` would cost seconds and a gigabyte."""

MAX_MESSAGES = 10_000
MAX_TOOLS = 2_048
MAX_MODEL_CHARACTERS = 128
MAX_TOKENS = 10_000_000


def parse_body(raw: bytes) -> JsonObject:
    """Parse a JSON object; raises `InvalidRequest` for anything else, or nested too deep."""
    brackets = raw.count(b"{") + raw.count(b"[")
    if brackets > MAX_BRACKETS:
        raise InvalidRequest(f"The request body has more than {MAX_BRACKETS} opening brackets.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error.msg}.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request body has to be a JSON object.")
    if brackets > MAX_DEPTH:
        _refuse_deep(body)
    return cast(JsonObject, body)


def model_name(body: Mapping[str, object]) -> str:
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise InvalidRequest("You must provide a model parameter.", "model")
    if len(name) > MAX_MODEL_CHARACTERS or not name.isprintable():
        raise InvalidRequest(
            f"A model name has at most {MAX_MODEL_CHARACTERS} printable characters.", "model"
        )
    return name


def filled_list(body: Mapping[str, object], name: str, most: int) -> list[object]:
    value = body.get(name)
    if not isinstance(value, list) or not value:
        raise InvalidRequest(f"{name}: a list with at least one item is required.", name)
    if len(value) > most:
        raise InvalidRequest(f"{name}: at most {most} items are allowed.", name)
    return value


def boolean(body: Mapping[str, object], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name}: true or false is required.", name)
    return value


def whole_number(body: Mapping[str, object], name: str, *, most: int) -> int | None:
    """A number from 1 to `most`; None where the field is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidRequest(f"{name}: a whole number from 1 to {most} is required.", name)
    return value


def optional_text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def refuse_stored_files(parts: Iterable[Mapping[str, object]]) -> None:
    """Refuse what names a file at the provider: it is open to every key of the account."""
    if any(part.get("file_id") is not None for part in parts):
        raise InvalidRequest(
            "file_id: files that the provider keeps are not offered; send the file itself.",
            "file_id",
        )


def _refuse_deep(value: dict[str, object] | list[object], depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.")
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            _refuse_deep(item, depth + 1)
