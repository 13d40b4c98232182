"""Where the next page of a list begins, as text that a caller hands back unread.

It is signed, so that a cursor that was made up or altered is refused instead of being tried.
"""

from typing import Any

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from ai_gateway.errors import InvalidRequest


def write_cursor(address: str, position: list[Any]) -> str:
    """Make the cursor of an address; `position` is anything that JSON can hold."""
    return str(_serializer(address).dumps(position))


def read_cursor(address: str, cursor: str) -> list[Any]:
    """The position in a cursor of the same address; raises `InvalidRequest`."""
    try:
        position = _serializer(address).loads(cursor)
    except BadData as error:
        raise InvalidRequest(
            "cursor: use the next_cursor of an earlier answer of this address, as it was.", "cursor"
        ) from error
    return list(position)


def _serializer(address: str) -> URLSafeSerializer:
    return URLSafeSerializer(current_app.secret_key or "", salt=f"cursor of {address}")
