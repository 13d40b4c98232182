"""What there is to know of a provider: its name, its wire format, and where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ai_gateway.domain.call import DialectName, Operation

CHAT_CAPS = ("max_completion_tokens", "max_tokens")
"""The names that the output cap of a chat completion may have; vendors differ in what they heed."""

CAPS: Mapping[str, tuple[str, ...]] = {
    "messages": ("max_tokens",),
    "completions": ("max_tokens",),
    "responses": ("max_output_tokens",),
}
"""The same of each other operation with a cap: here all vendors agree."""


@dataclass(frozen=True, slots=True)
class UsageReport:
    """How a vendor tells the usage, where that is not as OpenAI does (metering.md B8 to B10).

    `place` is where a stream has it besides `usage`. `cached_field` is a count beside the details.
    `total_has_reasoning`: what the total has beyond its parts is reasoning. `reasoning_is_beside`:
    it is in no total. `cost` is how the amount is stated that will be on the bill.
    """

    place: Literal["", "x_groq", "choice"] = ""
    cached_field: str = ""
    total_has_reasoning: bool = False
    reasoning_is_beside: bool = False
    cost: Literal["", "ticks", "credits", "total", "estimate"] = ""


@dataclass(frozen=True, slots=True)
class Quirks:
    """Where vendors who speak one wire format differ.

    `chat_caps` are the fields in which a vendor heeds an output cap; ours goes into the first.
    `takes_include_usage` tells whether a stream may be asked for its usage; a vendor that does not
    take the question tells the usage without it.
    """

    chat_caps: tuple[str, ...] = CHAT_CAPS
    takes_include_usage: bool = True
    usage: UsageReport = UsageReport()

    def caps(self, operation: Operation) -> tuple[str, ...]:
        """The fields in which an output cap is heeded; none for an operation without one."""
        return self.chat_caps if operation is Operation.CHAT else CAPS.get(operation.value, ())


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider of the registry: what its vendor decides.

    An empty `base_url` is known to the operator alone. `price_ids` are its names in genai-prices,
    the first that knows a model holds; `model_names` is a pattern of those that it really serves.
    """

    name: str
    dialect: DialectName = "openai"
    base_url: str = ""
    price_ids: tuple[str, ...] = ()
    model_names: str = ""
    quirks: Quirks = Quirks()
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that is switched on: what the operator says, and what is known of its vendor.

    The key is read only where the request to the provider is made; it is never printed. `vendor`
    is the row whose prices and limits hold for it; None where only the operator knows them.
    """

    name: str
    dialect: DialectName
    base_url: str
    api_key: str | None = field(repr=False)
    quirks: Quirks = Quirks()
    vendor: ProviderRow | None = None
