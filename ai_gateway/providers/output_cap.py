"""Puts the output cap of a chat completion where the provider heeds it.

A cap in a field that a provider drops in silence would let it say more than is held for.
"""

from ai_gateway.domain.call import JsonObject
from ai_gateway.providers.provider import CHAT_CAPS, Quirks


def set_chat_cap(body: JsonObject, quirks: Quirks, *, asked: int | None, ours: int | None) -> None:
    """Write our cap, or move the client's own; what the provider heeds as it is stays as it is.

    `asked` is the client's cap as it was read, and what is held for.
    """
    given = [name for name in CHAT_CAPS if body.get(name) is not None]
    if ours is None and all(name in quirks.chat_caps for name in given):
        return
    is_heeded = bool(given) and given[0] in quirks.chat_caps
    field = given[0] if is_heeded else quirks.chat_caps[0]
    for name in given:
        del body[name]
    body[field] = asked if ours is None else ours
