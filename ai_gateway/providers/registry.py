"""The table of providers, vendors of models first, then hosts of other people's models.

A provider is on when its key is set, a local one when its base URL is (`settings/`). The order is
that in which a bare model name is looked up.
"""

from collections.abc import Iterable
from dataclasses import replace

from ai_gateway.domain.call import DialectName
from ai_gateway.providers.provider import Provider, ProviderRow, Quirks, UsageReport

OLD_CAP = Quirks(chat_caps=("max_tokens",))
"""Heeds only the older name of the cap; DeepSeek drops the newer in silence (pi#8018, 2026-08)."""

OLD_CAP_USAGE_UNASKED = Quirks(chat_caps=("max_tokens",), takes_include_usage=False)
"""Besides, refuses fields that it does not know, and tells the usage without being asked."""

PROVIDER_ROWS = (
    ProviderRow("openai", base_url="https://api.openai.com/v1", price_ids=("openai",)),
    ProviderRow("anthropic", "anthropic", "https://api.anthropic.com", ("anthropic",)),
    # What Azure has no list price of its own for costs what it costs at OpenAI.
    ProviderRow("azure", "azure", price_ids=("azure", "openai")),
    ProviderRow(
        "mistral",
        base_url="https://api.mistral.ai/v1",
        price_ids=("mistral",),
        quirks=OLD_CAP_USAGE_UNASKED,
    ),
    ProviderRow(
        "deepseek",
        base_url="https://api.deepseek.com",
        price_ids=("deepseek",),
        quirks=replace(OLD_CAP, usage=UsageReport(cached_field="prompt_cache_hit_tokens")),
    ),
    # The older cap is deprecated and may leave out the reasoning, which the hold has to bound.
    ProviderRow(
        "xai",
        base_url="https://api.x.ai/v1",
        price_ids=("x-ai",),
        quirks=Quirks(
            chat_caps=("max_completion_tokens",),
            usage=UsageReport(total_has_reasoning=True, cost="ticks"),
        ),
    ),
    # The price data has Vertex in the same list, with Claude and others.
    ProviderRow(
        "gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        price_ids=("google",),
        model_names=r"gem(ini|ma)-",
        quirks=Quirks(usage=UsageReport(total_has_reasoning=True)),
    ),
    ProviderRow(
        "moonshot",
        base_url="https://api.moonshot.ai/v1",
        price_ids=("moonshotai",),
        quirks=replace(OLD_CAP, usage=UsageReport(place="choice", cached_field="cached_tokens")),
    ),
    # Chat Completions ended on 2026-09-27; Responses are served at this address.
    ProviderRow(
        "perplexity",
        base_url="https://api.perplexity.ai/v1",
        price_ids=("perplexity",),
        quirks=replace(
            OLD_CAP_USAGE_UNASKED, usage=UsageReport(reasoning_is_beside=True, cost="total")
        ),
    ),
    ProviderRow(
        "groq",
        base_url="https://api.groq.com/openai/v1",
        price_ids=("groq",),
        quirks=Quirks(usage=UsageReport(place="x_groq")),
    ),
    ProviderRow("cerebras", base_url="https://api.cerebras.ai/v1", price_ids=("cerebras",)),
    ProviderRow(
        "together",
        base_url="https://api.together.ai/v1",
        price_ids=("together",),
        quirks=OLD_CAP,
    ),
    ProviderRow(
        "fireworks",
        base_url="https://api.fireworks.ai/inference/v1",
        price_ids=("fireworks",),
    ),
    # Nobody lists its prices: what it states is booked, and what is held for, the operator says.
    ProviderRow(
        "deepinfra",
        base_url="https://api.deepinfra.com/v1/openai",
        quirks=replace(OLD_CAP, usage=UsageReport(cost="estimate")),
    ),
    ProviderRow(
        "openrouter",
        base_url="https://openrouter.ai/api/v1",
        price_ids=("openrouter",),
        quirks=Quirks(usage=UsageReport(cost="credits")),
    ),
    ProviderRow("ollama", quirks=OLD_CAP, is_local=True),
    ProviderRow("vllm", is_local=True),
)

ROWS_BY_NAME = {row.name: row for row in PROVIDER_ROWS}

SIMULATOR_PATHS: dict[DialectName, str] = {"openai": "/v1", "anthropic": "", "azure": ""}
"""Where the simulator has each dialect, as the vendors' own base URLs have it."""

SIMULATOR_KEY = "simulator"


class Registry:
    """The providers that are on, in order."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._providers = {provider.name: provider for provider in providers}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._providers)

    @property
    def providers(self) -> tuple[Provider, ...]:
        return tuple(self._providers.values())

    @property
    def vendors(self) -> dict[str, ProviderRow]:
        """Whose prices and limits hold for each provider, where anybody's do."""
        return {p.name: p.vendor for p in self._providers.values() if p.vendor}

    def get(self, name: str) -> Provider | None:
        return self._providers.get(name)

    def renew_key(self, name: str, api_key: str) -> bool:
        """Send another key from the next call on; False where it is the same, or nobody's.

        Calls that run keep the provider as it was when they began.
        """
        known = self._providers.get(name)
        if known is None or known.api_key == api_key:
            return False
        self._providers[name] = replace(known, api_key=api_key)
        return True

    def speaking(self, dialect: str) -> list[Provider]:
        """The providers whose wire format is `dialect`, in order."""
        return [p for p in self._providers.values() if p.dialect == dialect]


def provider(
    name: str,
    preset: str | None,
    dialect: DialectName,
    *,
    base_url: str | None,
    api_key: str | None,
) -> Provider:
    """Make a provider of what the operator says, on the row that `preset` names, if any.

    The vendor's prices hold at the vendor's own address, and for the provider of its own name.
    """
    row = ROWS_BY_NAME.get(preset or "")
    if row is None:
        # Of an unknown server only the older name of the cap can be expected.
        return Provider(name, dialect, (base_url or "").rstrip("/"), api_key, OLD_CAP)
    is_vendors_own = base_url is None or name == row.name
    return Provider(
        name,
        row.dialect,
        (base_url or row.base_url).rstrip("/"),
        api_key,
        row.quirks,
        row if is_vendors_own else None,
    )


def simulated(url: str, providers: Iterable[Provider] = ()) -> Registry:
    """Every provider of the table and the operator's own, all played by the simulator.

    Real keys are never sent. Rows have their vendor's quirks there too; the operator's own have
    those of the dialect's vendor.
    """
    rows = [
        Provider(r.name, r.dialect, url + simulator_path(r), SIMULATOR_KEY, r.quirks, r)
        for r in PROVIDER_ROWS
    ]
    known = {row.name for row in rows}
    own = [
        replace(
            played,
            base_url=url + SIMULATOR_PATHS[played.dialect],
            api_key=SIMULATOR_KEY,
            quirks=Quirks(),
        )
        for played in providers
        if played.name not in known
    ]
    return Registry([*rows, *own])


def simulator_path(row: ProviderRow) -> str:
    """Where the simulator plays the vendor of a row."""
    if row.dialect == "openai" and row.name != "openai":
        return f"/vendors/{row.name}/v1"
    return SIMULATOR_PATHS[row.dialect]
