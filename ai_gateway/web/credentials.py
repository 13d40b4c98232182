"""Finds the virtual key of a request, as each SDK sends it."""

from flask import Request

from ai_gateway.errors import InvalidRequest


def credential_of(request: Request) -> str | None:
    """The key in `Authorization: Bearer`, `x-api-key` or `api-key`; None where there is none.

    Two different ones are refused: it would not be clear who pays. A key in the query is ignored.
    """
    found = {
        value
        for value in (
            _bearer(request.headers.get("authorization", "")),
            request.headers.get("x-api-key", "").strip(),
            request.headers.get("api-key", "").strip(),
        )
        if value
    }
    if len(found) > 1:
        raise InvalidRequest("Two different API keys were sent: send one.")
    return found.pop() if found else None


def _bearer(header: str) -> str:
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
