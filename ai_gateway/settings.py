"""What the operator chose: one frozen dataclass, read once from the environment and checked.

A wrong value or an unknown `AI_GATEWAY_*` variable raises `SettingsError` with one clear line.
`docs/settings.md` describes every variable; a test holds the two together.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

MAX_LIMIT_USD = 9_000_000
"""Lua numbers are exact to 2**53, which is about 9.007 million dollars in nano-dollars."""

MIN_SECRET_CHARACTERS = 16
WEAK_SECRETS = ("changeme", "change-me", "secret", "password", "example", "default")

Word = TypeVar("Word", bound=str)
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A variable is wrong or unknown; the message is the one line that the operator reads."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that is never printed: `str()` and `repr()` show a mask."""

    value: str = field(repr=False)

    def __str__(self) -> str:
        return "********"


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the environment says of one vendor: `<NAME>_API_KEY` and `<NAME>_BASE_URL`."""

    api_key: Secret | None
    base_url: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set. Limits are in USD; `None` means that the variable is absent."""

    host: str
    port: int
    web_concurrency: int | None
    data_dir: Path
    database_url: str | None
    redis_url: str | None
    secret_key: Secret | None
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
    worker_slot: int | None
    demo: bool
    providers: Mapping[str, ProviderSettings]

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
            configured = any(p.api_key for p in self.providers.values())
            return self.is_loopback and not configured
        return self.simulator == "on"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def read_settings(env: Mapping[str, str]) -> Settings:
    """Read and check every variable; raises `SettingsError` for the first that is wrong."""
    read = _Reader(env)
    read.refuse_unknown()
    monthly = read.usd("AI_MONTHLY_SPEND_LIMIT_USD", Decimal(1000))
    return Settings(
        host=read.text("HOST") or "127.0.0.1",
        port=read.integer("PORT", 8000, low=1, high=65535),
        web_concurrency=read.optional_integer("WEB_CONCURRENCY", low=1, high=256),
        data_dir=Path(read.text("AI_GATEWAY_DATA_DIR") or "var").expanduser().resolve(),
        database_url=read.url("DATABASE_URL", ("sqlite", "postgresql", "postgres")),
        redis_url=read.url("REDIS_URL", ("redis", "rediss", "unix")),
        secret_key=read.strong_secret("SECRET_KEY"),
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
        metrics_allow=read.networks("AI_GATEWAY_METRICS_ALLOW"),
        metrics_dir=read.path("PROMETHEUS_MULTIPROC_DIR"),
        worker_slot=read.optional_integer("AI_GATEWAY_WORKER_SLOT", low=0, high=9999),
        demo=read.boolean("AI_GATEWAY_DEMO", default=False),
        providers={name: read.provider(name) for name in ("openai", "anthropic")},
    )


OWN_VARIABLES = frozenset(
    f"AI_GATEWAY_{name}"
    for name in (
        "DATA_DIR",
        "KEY_PEPPER",
        "SIMULATOR",
        "SIMULATOR_URL",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "TIMEZONE",
        "UNCAPPED_OUTPUT_TOKENS",
        "ON_DISCONNECT",
        "METRICS_TOKEN",
        "METRICS_ALLOW",
        "WORKER_SLOT",
        "DEMO",
    )
)
"""Every variable with our prefix; any other one stops the start, since it is a typing error."""


class _Reader:
    """Typed look-ups in the environment. An empty value counts as absent."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def refuse_unknown(self) -> None:
        for name in sorted(self._env):
            if name.startswith("AI_GATEWAY_") and name not in OWN_VARIABLES:
                near = get_close_matches(name, OWN_VARIABLES, n=1)
                hint = f"; did you mean {near[0]}?" if near else "; see docs/settings.md"
                raise SettingsError(f"{name} is not a setting of the gateway{hint}")

    def text(self, name: str) -> str | None:
        return self._env.get(name, "").strip() or None

    def choice(self, name: str, words: tuple[Word, ...]) -> Word:
        """One of `words`; the first is the default."""
        value = (self.text(name) or words[0]).lower()
        for word in words:
            if word == value:
                return word
        raise SettingsError(f"{name}={value!r} is wrong: use one of {', '.join(words)}")

    def boolean(self, name: str, *, default: bool) -> bool:
        value = (self.text(name) or str(default)).lower()
        if value in {"true", "1", "yes", "on"}:
            return True
        if value in {"false", "0", "no", "off"}:
            return False
        raise SettingsError(f"{name}={value!r} is wrong: use true or false")

    def optional_integer(self, name: str, *, low: int, high: int) -> int | None:
        value = self.text(name)
        if value is None:
            return None
        if value.isascii() and value.isdigit() and low <= int(value) <= high:
            return int(value)
        raise SettingsError(f"{name}={value!r} is wrong: use a whole number, {low} to {high}")

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self.optional_integer(name, low=low, high=high)
        return default if value is None else value

    def usd(self, name: str, default: Decimal) -> Decimal:
        value = self.text(name)
        if value is None:
            return default
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or not 0 <= amount <= MAX_LIMIT_USD or amount != round(amount, 9):
            raise SettingsError(
                f"{name}={value!r} is wrong: use an amount in USD such as 12.50, "
                f"from 0 to {MAX_LIMIT_USD:,}, with at most nine decimals"
            )
        return amount

    def zone(self, name: str, default: str) -> ZoneInfo:
        value = self.text(name) or default
        try:
            return ZoneInfo(value)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"{name}={value!r} is no time zone: use a name such as UTC or Europe/Berlin"
            ) from error

    def path(self, name: str) -> Path | None:
        value = self.text(name)
        return Path(value).resolve() if value else None

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is None:
            return None
        if urlsplit(value).scheme.split("+")[0] not in schemes:
            starts = ", ".join(f"{scheme}://" for scheme in schemes)
            # The value may hold a password, so it is not repeated.
            raise SettingsError(f"{name} is wrong: it has to start with one of {starts}")
        return value

    def secret(self, name: str) -> Secret | None:
        value = self.text(name)
        return Secret(value) if value else None

    def strong_secret(self, name: str) -> Secret | None:
        if name in self._env and not self._env[name].strip():
            raise SettingsError(f"{name} is set but empty: give it a value or remove it")
        value = self.text(name)
        if value is None:
            return None
        is_weak = len(value) < MIN_SECRET_CHARACTERS or len(set(value)) < MIN_SECRET_CHARACTERS // 2
        if is_weak or any(word in value.lower() for word in WEAK_SECRETS):
            raise SettingsError(
                f"{name} is too easy to guess: use at least {MIN_SECRET_CHARACTERS} random "
                "characters, for instance from: openssl rand -hex 32"
            )
        return Secret(value)

    def networks(self, name: str) -> tuple[IpNetwork, ...]:
        try:
            return tuple(
                ipaddress.ip_network(part.strip())
                for part in (self.text(name) or "127.0.0.0/8,::1/128").split(",")
            )
        except ValueError as error:
            raise SettingsError(
                f"{name} is wrong: {error}; use addresses or networks with commas between"
            ) from error

    def provider(self, name: str) -> ProviderSettings:
        prefix = name.upper()
        return ProviderSettings(
            api_key=self.secret(f"{prefix}_API_KEY"),
            base_url=self.url(f"{prefix}_BASE_URL", ("http", "https")),
        )
