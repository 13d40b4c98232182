"""What there is to know of a provider: its name, its wire format, and where it is."""

from dataclasses import dataclass, field

from ai_gateway.domain.call import DialectName


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """A provider of the registry: what its vendor decides."""

    name: str
    dialect: DialectName
    base_url: str


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that is switched on: a row with the operator's key and base URL.

    The key is read only where the request to the provider is made; it is never printed.
    """

    name: str
    dialect: DialectName
    base_url: str
    api_key: str = field(repr=False)
