"""What the operations of OpenAI's wire format have in common; each has a module of its own."""

from collections.abc import Mapping
from typing import Protocol

from ai_gateway.domain.call import AskedCall, JsonObject, Operation
from ai_gateway.domain.usage import Reading
from ai_gateway.providers import json_body
from ai_gateway.providers.dialect import Interpreter, object_in, objects_in
from ai_gateway.providers.output_cap import set_cap
from ai_gateway.providers.provider import CAPS, CHAT_CAPS, Provider, Quirks

MAX_CHOICES = 128
TOOL_OVERHEAD_BYTES = 1_000
"""Providers put instructions of their own before the tools; the client never sees them."""

_PAID_TIERS = frozenset({"flex", "priority", "fast", "scale"})


class OpenAIOperation(Protocol):
    """One operation: its request, its path, its answer. Stateless."""

    operation: Operation
    path: str

    def read_request(self, body: JsonObject, size: int) -> AskedCall:
        """Read what the gateway has to know of a body that came as so many bytes."""
        ...

    def asks_for_usage(self, asked: AskedCall) -> bool:
        """Whether a stream has to be asked for its usage."""
        ...

    def read_answer(self, answer: Mapping[str, object], quirks: Quirks) -> Reading: ...

    def interpreter(self, asked: AskedCall, quirks: Quirks) -> Interpreter: ...


def cap_names(operation: Operation) -> tuple[str, ...]:
    """The names that the output cap may have in a client's request; none without a cap."""
    return CHAT_CAPS if operation is Operation.CHAT else CAPS.get(operation.value, ())


def asked_cap(body: JsonObject, operation: Operation) -> int | None:
    """The client's own cap. Vendors differ in which of two holds, so the larger one does here."""
    caps = (
        json_body.whole_number(body, name, most=json_body.MAX_TOKENS)
        for name in cap_names(operation)
    )
    return max((cap for cap in caps if cap is not None), default=None)


def write_cap(body: JsonObject, asked: AskedCall, quirks: Quirks, ours: int | None) -> None:
    """Write our own cap, or move the client's, in the operations that have one."""
    names = cap_names(asked.operation)
    if names:
        set_cap(body, asked, names=names, heeded=quirks.caps(asked.operation), ours=ours)


def has_tools(body: JsonObject) -> bool:
    """Whether there are tools; raises `InvalidRequest` for what is no list of them."""
    if not body.get("tools"):
        return False
    json_body.filled_list(body, "tools", json_body.MAX_TOOLS)
    return True


def asks_to_stream_usage(body: JsonObject) -> bool:
    return bool(object_in(body, "stream_options").get("include_usage"))


def bearer(provider: Provider) -> dict[str, str]:
    """The gateway's own credential; servers of one's own may need none."""
    return {"authorization": f"Bearer {provider.api_key}"} if provider.api_key else {}


def asked_tier(body: JsonObject) -> str | None:
    """The tier whose price is asked for; the client's own words are never kept as one."""
    tier = json_body.optional_text(body, "service_tier")
    return tier if tier in _PAID_TIERS else None


def message_parts(body: JsonObject, name: str) -> list[dict[str, object]]:
    """The parts of the content of all messages."""
    return [part for message in objects_in(body, name) for part in objects_in(message, "content")]
