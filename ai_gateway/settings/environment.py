"""Typed look-ups in the environment; a wrong value raises `SettingsError` with one clear line."""

import ipaddress
import re
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ai_gateway.settings.known_providers import KNOWN_PROVIDERS
from ai_gateway.settings.provider_keys import parts_of, read_provider_key
from ai_gateway.settings.values import ProviderSettings, Secret, SettingsError

MAX_LIMIT_USD = 9_000_000
"""Lua numbers are exact to 2**53, which is about 9.007 million dollars in nano-dollars."""

MAX_DIGITS = 12
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
MIN_SECRET_CHARACTERS = 16
WEAK_SECRETS = ("changeme", "change-me", "secret", "password", "example", "default")

Word = TypeVar("Word", bound=str)
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

OWN_VARIABLES = frozenset(
    f"AI_GATEWAY_{name}"
    for name in (
        "CONFIG",
        "DATA_DIR",
        "KEY_PEPPER",
        "SECRET_KEY_BEFORE",
        "SIMULATOR",
        "SIMULATOR_URL",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "TIMEZONE",
        "UNCAPPED_OUTPUT_TOKENS",
        "ON_DISCONNECT",
        "METRICS_TOKEN",
        "METRICS_ALLOW",
        "TRUSTED_PROXIES",
        "CORS_ORIGINS",
        "PRICES_REFRESH_URL",
        "PRICES_REFRESH_HOURS",
        "TRACE_CONTENT",
        "LEDGER_KEEP_DAYS",
        "LEDGER_ARCHIVE_DIR",
        "ALERT_FROM",
        "ALERT_EMAILS",
        "ALERT_WEBHOOK_URL",
        "ALERT_WEBHOOK_FORM",
        "WORKER_SLOT",
        "STARTED_AT",
        "DEMO",
    )
)
"""Every variable with our prefix; any other one stops the start, since it is a typing error."""


class Environment:
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
        is_number = value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS
        if is_number and low <= int(value) <= high:
            return int(value)
        raise SettingsError(f"{name}={value!r} is wrong: use a whole number, {low} to {high}")

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self.optional_integer(name, low=low, high=high)
        return default if value is None else value

    def share(self, name: str, default: float) -> float:
        value = self.text(name)
        if value is None:
            return default
        try:
            share = float(value)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise SettingsError(f"{name}={value!r} is wrong: use a number from 0 to 1, such as 0.1")
        return share

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
        except (OSError, ValueError, ZoneInfoNotFoundError) as error:
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
        try:
            scheme = urlsplit(value).scheme.split("+")[0]
        except ValueError:
            scheme = ""
        if scheme not in schemes:
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

    def networks(self, name: str, default: str) -> tuple[IpNetwork, ...]:
        listed = self.text(name) or default
        try:
            return tuple(ipaddress.ip_network(part.strip()) for part in listed.split(",") if listed)
        except ValueError as error:
            raise SettingsError(
                f"{name} is wrong: {error}; use addresses or networks with commas between"
            ) from error

    def origins(self, name: str) -> tuple[str, ...]:
        """Origins as a browser names them: scheme and host, the port if it is not the usual one."""
        listed = self.text(name)
        origins = tuple(part.strip() for part in listed.split(",")) if listed else ()
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise SettingsError(
                    f"{name} is wrong: {origin!r} is no origin; use addresses such as "
                    "https://pages.example.com, in small letters and without a path, with commas "
                    "between"
                )
        return origins

    def providers(self, replaced: Collection[str]) -> dict[str, ProviderSettings]:
        """The built-in providers that are on, by name, but for those that the file replaces."""
        providers = {}
        for known in KNOWN_PROVIDERS:
            if known.name in replaced:
                continue
            key = read_provider_key(self._env, known.key_variable)
            base_url = self.url(known.url_variable, ("http", "https"))
            if known.is_local and base_url is None:
                continue
            if not known.is_local and key is None:
                continue
            if base_url is None and not known.has_address:
                raise SettingsError(f"{known.url_variable} is needed with {known.key_variable}")
            providers[known.name] = ProviderSettings(
                known.name, known.name, known.dialect, base_url, *parts_of(key)
            )
        return providers
