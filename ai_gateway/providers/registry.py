"""The table of providers, vendors first. A provider is on when its key is set."""

from collections.abc import Iterable

from ai_gateway.providers.provider import Provider, ProviderRow

PROVIDER_ROWS = (
    ProviderRow("openai", dialect="openai", base_url="https://api.openai.com/v1"),
    ProviderRow("anthropic", dialect="anthropic", base_url="https://api.anthropic.com"),
)

SIMULATOR_PATHS = {"openai": "/v1", "anthropic": ""}
"""Where the simulator has each dialect, as the vendors' own base URLs have it."""

SIMULATOR_KEY = "simulator"


class Registry:
    """The providers that are on, in the order of the table."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = {provider.name: provider for provider in providers}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._providers)

    def get(self, name: str) -> Provider | None:
        return self._providers.get(name)

    def speaking(self, dialect: str) -> list[Provider]:
        """The providers whose wire format is `dialect`, in order."""
        return [p for p in self._providers.values() if p.dialect == dialect]


def simulated(url: str) -> Registry:
    """Every provider of the table, played by the simulator; real keys are never sent."""
    return Registry(
        Provider(row.name, row.dialect, url + SIMULATOR_PATHS[row.dialect], SIMULATOR_KEY)
        for row in PROVIDER_ROWS
    )
