"""Reads a request body once, within bounds; what was checked is what is sent on."""

from collections.abc import Iterable, Mapping
from typing import cast

import orjson

from ai_gateway.domain.call import JsonObject
from ai_gateway.errors import InvalidRequest

MAX_DEPTH = 64
MOST_SIGNS = {b"{": 100_000, b"[": 100_000, b":": 100_000, b",": 500_000}
"""How many objects, lists, members and items a body may have: 20 MB of the smallest would cost
seconds and a gigabyte. An embedding may have 300,000 numbers, all else has far less."""

_ALL_BUT_SIGNS = bytes(set(range(256)) - set(b'"' + b"".join(MOST_SIGNS)))
_MOST_QUOTES = 2 * sum(MOST_SIGNS.values())
_HOLDERS = (dict, list)

MAX_MESSAGES = 10_000
MAX_TOOLS = 2_048
MAX_MODEL_CHARACTERS = 128
MAX_TOKENS = 10_000_000


def parse_body(raw: bytes) -> JsonObject:
    """Parse a JSON object; raises `InvalidRequest` for anything else, too much or too deep."""
    if _has_too_many(raw) and _has_too_many(_without_texts(raw)):
        raise InvalidRequest("The request body has too many objects, lists, members or numbers.")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The request body is not valid JSON: {error.msg}.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request body has to be a JSON object.")
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:
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


def _has_too_many(raw: bytes) -> bool:
    return len(raw) > min(MOST_SIGNS.values()) and any(
        raw.count(sign) > most for sign, most in MOST_SIGNS.items()
    )


def _without_texts(raw: bytes) -> bytes:
    """The signs outside of texts, in a few fast passes: a text may have as many as it likes."""
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    signs = raw.translate(None, _ALL_BUT_SIGNS)
    if signs.count(b'"') > _MOST_QUOTES:
        # More texts than there can be members and items together.
        return signs
    return b"".join(signs.split(b'"')[::2])


def _refuse_deep(body: dict[str, object]) -> None:
    """Level by level, so that the steps are as many as the items and the levels are bounded."""
    level: list[dict[str, object] | list[object]] = [body]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, _HOLDERS)
        ]
        if not level:
            return
    raise InvalidRequest(f"The request body is nested deeper than {MAX_DEPTH} levels.")
