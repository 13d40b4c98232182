"""Puts an output cap where the provider heeds it.

A cap in a field that a provider drops in silence would let it say more than is held for.
"""

from collections.abc import Sequence

from ai_gateway.domain.call import AskedCall, JsonObject


def set_cap(
    body: JsonObject,
    asked: AskedCall,
    *,
    names: Sequence[str],
    heeded: Sequence[str],
    ours: int | None,
) -> None:
    """Write our cap, or move the client's own; what the provider heeds as it is stays as it is.

    `names` are those that the cap may have in this operation. The client's cap as it was read is
    what is held for.
    """
    given = [name for name in names if body.get(name) is not None]
    if ours is None and all(name in heeded for name in given):
        return
    is_heeded = bool(given) and given[0] in heeded
    field = given[0] if is_heeded else heeded[0]
    for name in given:
        del body[name]
    body[field] = asked.output_cap if ours is None else ours
