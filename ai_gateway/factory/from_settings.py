"""From what the operator chose to values and simple parts; no application."""

import os

from ai_gateway.domain.limits import Budget, Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import from_usd
from ai_gateway.providers import registry
from ai_gateway.providers.registry import Registry
from ai_gateway.services.provider_keys import ProviderKeys
from ai_gateway.settings import Settings, SettingsError
from ai_gateway.stores import embedded
from ai_gateway.stores.catalog import Catalog, KnownLimits, Source
from ai_gateway.stores.operator_prices import operator_row

NO_SIMULATOR_URL = "http://127.0.0.1:1"
"""Commands that make no call need no simulator; a call would be refused at once."""


def redis_url(settings: Settings) -> str:
    return settings.redis_url or embedded.redis_url(settings.data_dir)


def workers_of(settings: Settings) -> int:
    """Worker processes on this host."""
    return settings.web_concurrency or os.cpu_count() or 1


def secrets_of(settings: Settings) -> tuple[dict[str, object], bytes]:
    """The operator's secrets, or those made at the first start where both stores are ours.

    What Flask signs cookies with, and what else it still reads them by; then the pepper.
    """
    secret_key, pepper = _secrets(settings)
    before = settings.secret_key_before
    fallbacks = [before.value] if before else []
    return {"SECRET_KEY": secret_key, "SECRET_KEY_FALLBACKS": fallbacks}, pepper.encode()


def _secrets(settings: Settings) -> tuple[str, str]:
    if settings.secret_key and settings.key_pepper:
        return settings.secret_key.value, settings.key_pepper.value
    if not settings.is_embedded:
        missing = "AI_GATEWAY_KEY_PEPPER" if settings.secret_key else "SECRET_KEY"
        raise SettingsError(
            f"{missing} is needed where DATABASE_URL or REDIS_URL is set; "
            "make one with: openssl rand -hex 32"
        )
    made_key, made_pepper = embedded.ensure_secrets(settings.data_dir)
    secret_key = settings.secret_key.value if settings.secret_key else made_key
    pepper = settings.key_pepper.value if settings.key_pepper else made_pepper
    return secret_key, pepper


def registry_of(settings: Settings) -> Registry:
    providers = [
        registry.provider(
            p.name,
            p.preset,
            p.dialect,
            base_url=p.base_url,
            api_key=p.api_key.value if p.api_key else None,
        )
        for p in settings.providers
    ]
    if settings.simulator_active:
        return registry.simulated(settings.simulator_url or NO_SIMULATOR_URL, providers)
    return Registry(providers)


def provider_keys_of(settings: Settings, providers: Registry) -> ProviderKeys:
    """Those that stand in files; of what the simulator plays no real key is ever read again."""
    files = {p.name: p.api_key_file for p in settings.providers if p.api_key_file}
    return ProviderKeys(providers, {} if settings.simulator_active else files)


def catalog_of(settings: Settings, providers: Registry) -> Catalog:
    vendors = providers.vendors.items()
    return Catalog(
        {name: Source(row.price_ids, row.name, row.model_names) for name, row in vendors},
        [operator_row(p.provider, p.model, p.amounts, p.tier) for p in settings.prices],
        {
            (said.provider, said.model): KnownLimits(
                said.max_output, said.context, said.media_hold_tokens
            )
            for said in settings.limits
        },
    )


def default_limits(settings: Settings) -> dict[Budget, Limit]:
    """The environment's limits: in force where staff set none."""
    amounts = {
        Budget(Scope.INSTALLATION, Window.MONTH): settings.installation_monthly_limit,
        Budget(Scope.USER, Window.DAY): settings.user_daily_limit,
        Budget(Scope.USER, Window.MONTH): settings.user_monthly_limit,
    }
    return {budget: Limit(LimitKind.AMOUNT, from_usd(amount)) for budget, amount in amounts.items()}
