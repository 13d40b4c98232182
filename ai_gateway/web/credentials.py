"""Finds the virtual key of a request, as each SDK sends it."""

from flask import Request

from ai_gateway.domain.virtual_key import parse_key
from ai_gateway.errors import IN_ADDRESS, InvalidKey, InvalidRequest


def credential_of(request: Request) -> str | None:
    """The key in `Authorization: Bearer`, `x-api-key` or `api-key`; None where there is none.

    Two different ones are refused: it would not be clear who pays. One in the query is never taken;
    where there is no other, `InvalidKey` tells so.
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
    if not found and _has_key_in_address(request):
        raise InvalidKey(IN_ADDRESS)
    return found.pop() if found else None


def _has_key_in_address(request: Request) -> bool:
    return b"agw_" in request.query_string and any(
        parse_key(value) for _, value in request.args.items(multi=True)
    )


def _bearer(header: str) -> str:
    scheme, _, value = header.partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""
