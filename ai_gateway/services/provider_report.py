"""The providers as the environment and the operator's file have them, and how each did of late."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ai_gateway.providers.provider import Provider
from ai_gateway.providers.transport import TimeLimits
from ai_gateway.services.parts_health import PartState, ProviderHealth

TIME_LIMITS = TimeLimits()
"""The same for every provider."""


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """One provider; of its key only whether there is one. `health` is None without a call."""

    name: str
    dialect: str
    base_url: str
    has_key: bool
    models: int
    health: ProviderHealth | None

    @property
    def state(self) -> PartState | None:
        return self.health.state if self.health else None


def provider_lines(
    providers: Sequence[Provider], models: dict[str, int], healths: Sequence[ProviderHealth]
) -> tuple[ProviderLine, ...]:
    """In the order in which a bare model name is looked up; `models` have a price."""
    by_name = {health.provider: health for health in healths}
    return tuple(
        ProviderLine(
            name=provider.name,
            dialect=provider.dialect,
            base_url=shown_address(provider.base_url),
            has_key=provider.api_key is not None,
            models=models.get(provider.name, 0),
            health=by_name.get(provider.name),
        )
        for provider in providers
    )


def shown_address(base_url: str) -> str:
    """The address without a name, a password or a query, which nobody needs to see."""
    url = urlsplit(base_url)
    host = url.netloc.rpartition("@")[2]
    return f"{url.scheme}://{host}{url.path}" if host else url.path
