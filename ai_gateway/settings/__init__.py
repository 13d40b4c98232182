"""What the operator chose. The lowest layer: it imports nothing else of ours.

`gateway.py` has the settings; `environment.py` and `operator_file.py` are where they come from.
"""

from ai_gateway.settings.alerts import AlertSettings, MailSettings
from ai_gateway.settings.environment import OWN_VARIABLES
from ai_gateway.settings.gateway import (
    WORKER_CONNECTIONS,
    Settings,
    is_loopback,
    read_settings,
)
from ai_gateway.settings.known_providers import KNOWN_PROVIDERS, KnownProvider
from ai_gateway.settings.operator_prices import ListedLimits, ListedPrice, PriceTier
from ai_gateway.settings.tracing import TracingSettings
from ai_gateway.settings.values import ProviderSettings, Secret, SettingsError

__all__ = [
    "KNOWN_PROVIDERS",
    "OWN_VARIABLES",
    "WORKER_CONNECTIONS",
    "AlertSettings",
    "KnownProvider",
    "ListedLimits",
    "ListedPrice",
    "MailSettings",
    "PriceTier",
    "ProviderSettings",
    "Secret",
    "Settings",
    "SettingsError",
    "TracingSettings",
    "is_loopback",
    "read_settings",
]
