"""A row of the ledger's export as it is written: by a command, and as a file of the staff pages."""

from collections.abc import Mapping
from datetime import datetime
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from ai_gateway.domain.money import Money, usd_text
from ai_gateway.stores.ledger_export import COLUMNS

COST, COST_USD = "cost_nano_usd", "cost_usd"
HEADER = tuple(
    chain.from_iterable((name, COST_USD) if name == COST else (name,) for name in COLUMNS)
)


def readable(row: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Moments in the reporting zone with their offset; the cost in USD beside the integer."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        shown[name] = value.astimezone(zone).isoformat() if isinstance(value, datetime) else value
        if name == COST:
            shown[COST_USD] = usd_text(Money(value))
    return shown
