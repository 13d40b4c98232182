"""Keys of providers that stand in files: a new one goes with the next call, and cuts no stream."""

import logging
from collections.abc import Mapping
from pathlib import Path

from ai_gateway.providers.registry import Registry

logger = logging.getLogger(__name__)


class ProviderKeys:
    """Looks into the files again and again; a file that cannot be read changes nothing."""

    def __init__(self, providers: Registry, files: Mapping[str, Path]) -> None:
        self._providers = providers
        self._files = files
        self._unreadable: set[str] = set()

    def look(self) -> None:
        """Take what is new; quick, since such a file is small."""
        for name, file in self._files.items():
            api_key = _read(file)
            if api_key is None:
                # Said once, not every second.
                if name not in self._unreadable:
                    logger.error("provider_key_unreadable", extra={"provider": name})
                self._unreadable.add(name)
                continue
            self._unreadable.discard(name)
            if self._providers.renew_key(name, api_key):
                logger.warning("provider_key_changed", extra={"provider": name})


def _read(file: Path) -> str | None:
    try:
        return file.read_text("utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
