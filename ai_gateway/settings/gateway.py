"""What the operator chose: one frozen dataclass, read once from environment and file, and checked.

A wrong value or an unknown `AI_GATEWAY_*` variable raises `SettingsError` with one clear line.
`docs/settings.md` describes every variable; a test holds the two together.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from ai_gateway.settings.alerts import AlertSettings, read_alerts
from ai_gateway.settings.environment import Environment, IpNetwork
from ai_gateway.settings.known_providers import KNOWN_BY_NAME
from ai_gateway.settings.ledger import LedgerSettings, read_ledger
from ai_gateway.settings.operator_file import OperatorFile, read_operator_file
from ai_gateway.settings.operator_prices import ListedLimits, ListedPrice
from ai_gateway.settings.price_refresh import PriceRefreshSettings, read_price_refresh
from ai_gateway.settings.store_urls import read_database_url, read_redis_url
from ai_gateway.settings.tracing import TracingSettings, read_tracing
from ai_gateway.settings.values import ProviderSettings, Secret

WORKER_CONNECTIONS = 10_000
"""How many requests a worker serves at once; not for the operator to choose."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Limits are in USD; `None` means that the variable is absent.

    `providers` are those that are on, in the order in which a bare model name is looked up.
    """

    host: str
    port: int
    web_concurrency: int | None
    data_dir: Path
    database_url: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    secret_key: Secret | None
    secret_key_before: Secret | None
    key_pepper: Secret | None
    simulator: Literal["auto", "on", "off"]
    simulator_url: str | None
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["auto", "text", "json"]
    timezone: ZoneInfo
    cost_tracking_enabled: bool
    installation_monthly_limit: Decimal
    user_daily_limit: Decimal
    user_monthly_limit: Decimal
    uncapped_output_tokens: int
    on_disconnect: Literal["drain", "cancel"]
    metrics_token: Secret | None
    metrics_allow: tuple[IpNetwork, ...]
    metrics_dir: Path | None
    trusted_proxies: tuple[IpNetwork, ...]
    cors_origins: tuple[str, ...]
    tracing: TracingSettings
    ledger: LedgerSettings
    alerts: AlertSettings
    price_refresh: PriceRefreshSettings
    worker_slot: int | None
    started_at: int | None
    demo: bool
    config_path: Path | None
    providers: tuple[ProviderSettings, ...]
    azure_deployments: Mapping[str, str]
    aliases: Mapping[str, str]
    prices: tuple[ListedPrice, ...]
    limits: tuple[ListedLimits, ...]

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def is_embedded(self) -> bool:
        """Both stores are our own, so that secrets may be made here at the first start."""
        return self.database_url is None and self.redis_url is None

    @property
    def simulator_active(self) -> bool:
        """`auto` serves the simulator only where no real provider could be meant."""
        if self.simulator == "auto":
            return self.is_loopback and not self.providers
        return self.simulator == "on"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read and check everything; raises `SettingsError` for the first that is wrong."""
    read = Environment(env)
    read.refuse_unknown()
    config_path = read.path("AI_GATEWAY_CONFIG")
    file = read_operator_file(config_path, env) if config_path else OperatorFile()
    monthly = read.usd("AI_MONTHLY_SPEND_LIMIT_USD", Decimal(1000))
    data_dir = Path(read.text("AI_GATEWAY_DATA_DIR") or "var").expanduser().resolve()
    return Settings(
        host=read.text("HOST") or "127.0.0.1",
        port=read.integer("PORT", 8000, low=1, high=65535),
        web_concurrency=read.optional_integer("WEB_CONCURRENCY", low=1, high=256),
        data_dir=data_dir,
        database_url=read_database_url(read),
        redis_url=read_redis_url(read),
        secret_key=read.strong_secret("SECRET_KEY"),
        secret_key_before=read.strong_secret("AI_GATEWAY_SECRET_KEY_BEFORE"),
        key_pepper=read.strong_secret("AI_GATEWAY_KEY_PEPPER"),
        simulator=read.choice("AI_GATEWAY_SIMULATOR", ("auto", "on", "off")),
        simulator_url=read.url("AI_GATEWAY_SIMULATOR_URL", ("http",)),
        log_level=read.choice("AI_GATEWAY_LOG_LEVEL", ("info", "debug", "warning", "error")),
        log_format=read.choice("AI_GATEWAY_LOG_FORMAT", ("auto", "text", "json")),
        timezone=read.zone("AI_GATEWAY_TIMEZONE", "UTC"),
        cost_tracking_enabled=read.boolean("AI_COST_TRACKING_ENABLED", default=True),
        installation_monthly_limit=monthly,
        user_daily_limit=read.usd("AI_USER_DAILY_SPEND_LIMIT_USD", Decimal(5)),
        user_monthly_limit=read.usd("AI_USER_MONTHLY_SPEND_LIMIT_USD", monthly),
        uncapped_output_tokens=read.integer(
            "AI_GATEWAY_UNCAPPED_OUTPUT_TOKENS", 32768, low=1, high=10_000_000
        ),
        on_disconnect=read.choice("AI_GATEWAY_ON_DISCONNECT", ("drain", "cancel")),
        metrics_token=read.strong_secret("AI_GATEWAY_METRICS_TOKEN"),
        metrics_allow=read.networks("AI_GATEWAY_METRICS_ALLOW", "127.0.0.0/8,::1/128"),
        metrics_dir=read.path("PROMETHEUS_MULTIPROC_DIR"),
        trusted_proxies=read.networks("AI_GATEWAY_TRUSTED_PROXIES", ""),
        cors_origins=read.origins("AI_GATEWAY_CORS_ORIGINS"),
        tracing=read_tracing(read),
        ledger=read_ledger(read, data_dir),
        alerts=read_alerts(read),
        price_refresh=read_price_refresh(read),
        worker_slot=read.optional_integer("AI_GATEWAY_WORKER_SLOT", low=0, high=9999),
        started_at=read.optional_integer("AI_GATEWAY_STARTED_AT", low=0, high=2**40),
        demo=read.boolean("AI_GATEWAY_DEMO", default=False),
        config_path=config_path,
        providers=_providers(read, file),
        azure_deployments=file.azure_deployments,
        aliases=file.aliases,
        prices=file.prices,
        limits=file.limits,
    )


def _providers(read: Environment, file: OperatorFile) -> tuple[ProviderSettings, ...]:
    """The built-in ones as the registry has them, then the operator's own as the file has them."""
    from_file = {provider.name: provider for provider in file.providers}
    providers = read.providers(from_file) | from_file
    own = [name for name in providers if name not in KNOWN_BY_NAME]
    return tuple(providers[name] for name in (*KNOWN_BY_NAME, *own) if name in providers)
