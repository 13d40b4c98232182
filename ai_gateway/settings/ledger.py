"""How long entries stay in the ledger, and where they go then."""

from dataclasses import dataclass
from pathlib import Path

from ai_gateway.settings.environment import Environment
from ai_gateway.settings.values import SettingsError

LEAST_KEEP_DAYS = 32
"""So that every open window is whole in the ledger."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Without `keep_days` every entry stays in SQL."""

    keep_days: int | None
    archive_dir: Path


def read_ledger(read: Environment, data_dir: Path) -> LedgerSettings:
    keep_days = read.optional_integer(
        "AI_GATEWAY_LEDGER_KEEP_DAYS", low=LEAST_KEEP_DAYS, high=36_500
    )
    archive_dir = read.path("AI_GATEWAY_LEDGER_ARCHIVE_DIR")
    if keep_days is not None and archive_dir is None and read.text("DATABASE_URL"):
        # Where the database is elsewhere, a data folder may be gone with its container.
        raise SettingsError(
            "AI_GATEWAY_LEDGER_ARCHIVE_DIR is needed with AI_GATEWAY_LEDGER_KEEP_DAYS where "
            "DATABASE_URL is set: name a folder that lasts and that every bookkeeper sees"
        )
    return LedgerSettings(keep_days, archive_dir or data_dir / "ledger-archive")
