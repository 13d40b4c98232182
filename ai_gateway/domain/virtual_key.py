"""Virtual keys: the credential that we issue. Format, digest, checksum and permitted models.

`agw_<8-character id>_<43-character secret><6-character checksum>`. The checksum lets anybody
discard junk without I/O. Only an HMAC of the whole key is stored; the pepper stays outside SQL.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARACTERS = 8
_SECRET_CHARACTERS = 43
_CHECKSUM_CHARACTERS = 6
_PATTERN = re.compile(
    rf"agw_([0-9A-Za-z]{{{_ID_CHARACTERS}}})_([0-9A-Za-z]{{{_SECRET_CHARACTERS}}})"
    rf"([0-9A-Za-z]{{{_CHECKSUM_CHARACTERS}}})",
    re.ASCII,
)


class Grace(StrEnum):
    """For how long the secret that a rotation replaces still works."""

    NONE = "0"
    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"

    @property
    def span(self) -> timedelta:
        return _GRACE_SPANS[self]


_GRACE_SPANS = {
    Grace.NONE: timedelta(0),
    Grace.HOUR: timedelta(hours=1),
    Grace.DAY: timedelta(hours=24),
    Grace.WEEK: timedelta(days=7),
}


class KeyStatus(StrEnum):
    """Whether a key may be used; an expired one is active with `expires_at` in the past."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A credential of the right form; whether it is one of ours is not known yet."""

    key_id: str
    text: str

    def __repr__(self) -> str:
        return f"PresentedKey({self.key_id!r})"


def make_key(random_bytes: bytes) -> PresentedKey:
    """Build a key from 48 random bytes (more than 256 bits stay in the secret part)."""
    number = int.from_bytes(random_bytes, "big")
    digits = _base62(number, _ID_CHARACTERS + _SECRET_CHARACTERS)
    return _key(digits[:_ID_CHARACTERS], digits[_ID_CHARACTERS:])


def renew_key(key_id: str, random_bytes: bytes) -> PresentedKey:
    """Build the same key with another secret, from as many random bytes."""
    number = int.from_bytes(random_bytes, "big")
    return _key(key_id, _base62(number, _SECRET_CHARACTERS))


def _key(key_id: str, secret: str) -> PresentedKey:
    return PresentedKey(key_id, f"agw_{key_id}_{secret}{_checksum(key_id + secret)}")


RANDOM_BYTES = 48
"""What `make_key` needs: 384 bits for 51 base-62 digits (about 303 bits)."""


def parse_key(text: str) -> PresentedKey | None:
    """Read a credential; None for anything that cannot be one of ours."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    key_id, secret, checksum = match.groups()
    if not hmac.compare_digest(_checksum(key_id + secret), checksum):
        return None
    return PresentedKey(key_id, text)


def digest_key(key: PresentedKey, pepper: bytes) -> str:
    """HMAC-SHA-256 of the whole key in hex: what is stored (ASVS 6.5.2: fast is right here)."""
    return hmac.digest(pepper, key.text.encode(), "sha256").hex()


def is_key_id(text: str) -> bool:
    """Whether a key could have this id at all; databases refuse some other texts."""
    return text.isascii() and text.isalnum() and len(text) == _ID_CHARACTERS


def key_id_of(text: str) -> str:
    """The id in whatever somebody calls a key by: the id, its prefix, or the whole."""
    return text.removeprefix("agw_")[:_ID_CHARACTERS]


def is_expired(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def is_model_allowed(allowed_models: tuple[str, ...], provider: str, model: str) -> bool:
    """An empty list allows all; entries are `model` or `provider/model`, exact."""
    return not allowed_models or model in allowed_models or f"{provider}/{model}" in allowed_models


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def _checksum(text: str) -> str:
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return _base62(value, _CHECKSUM_CHARACTERS)
