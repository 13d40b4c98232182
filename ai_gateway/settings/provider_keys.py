"""The key of a provider: in a variable, or in a file that another variable names.

A file is what Docker and Kubernetes make of a secret, and may be replaced while the gateway runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ai_gateway.settings.values import Secret, SettingsError

FILE_SUFFIX = "_FILE"


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """A key as it is now, and the file that has it, if any."""

    secret: Secret
    file: Path | None = None


def read_provider_key(env: Mapping[str, str], variable: str) -> ProviderKey | None:
    """Read `OPENAI_API_KEY` or the file of `OPENAI_API_KEY_FILE`; None where neither is set."""
    value = env.get(variable, "").strip()
    named = env.get(variable + FILE_SUFFIX, "").strip()
    if not named:
        return ProviderKey(Secret(value)) if value else None
    if value:
        raise SettingsError(f"{variable} and {variable}{FILE_SUFFIX} are both set: keep one")
    # Not resolved: a secret of Kubernetes is a link that leads to another place with each change.
    file = Path(named).expanduser().absolute()
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsError(f"{variable}{FILE_SUFFIX}: {file} cannot be read: {reason}") from error
    if not text:
        raise SettingsError(f"{variable}{FILE_SUFFIX}: {file} is empty")
    return ProviderKey(Secret(text), file)


def parts_of(key: ProviderKey | None) -> tuple[Secret | None, Path | None]:
    """The key and its file, as the settings of a provider have them."""
    return (key.secret, key.file) if key else (None, None)
