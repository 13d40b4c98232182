"""The parser of keys: what it takes is a key of the right form, and nothing else ever is."""

import hashlib
import re
from collections.abc import Callable

from ai_gateway.domain import virtual_key
from ai_gateway.domain.virtual_key import (
    RANDOM_BYTES,
    PresentedKey,
    is_key_id,
    key_id_of,
    make_key,
    renew_key,
)
from tests.security.fuzz.target import Tape, Target

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_FORM = re.compile(r"agw_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}\Z")


def check(
    data: bytes, parse_key: Callable[[str], PresentedKey | None] = virtual_key.parse_key
) -> None:
    """Any text; then a key that is right, and the same with one place of it changed."""
    for text in (data.decode("latin-1"), data.decode(errors="surrogateescape")):
        found = parse_key(text)
        assert (found is not None) == _is_right(text)
        assert found is None or (found.text == text and is_key_id(found.key_id))
        assert len(key_id_of(text)) <= len(text)
    key = make_key(data[:RANDOM_BYTES].ljust(RANDOM_BYTES, b"\0"))
    renewed = renew_key(key.key_id, data[::-1][:RANDOM_BYTES].ljust(RANDOM_BYTES, b"\0"))
    for one in (key, renewed):
        assert parse_key(one.text) == one == PresentedKey(key.key_id, one.text)
        assert _is_right(one.text)
        assert one.text not in repr(one)
    changed = _changed(key.text, Tape(data))
    assert (parse_key(changed) is not None) == _is_right(changed)
    assert changed == key.text or parse_key(changed) is None, "a wrong key was taken"


def seeds() -> list[bytes]:
    texts = [make_key(bytes([number]) * RANDOM_BYTES).text for number in range(4)]
    return [text.encode() for text in (*texts, "agw_' OR 1=1", "agw_" + "é" * 57, "")]


def _changed(text: str, tape: Tape) -> str:
    """One character replaced, taken out or put in."""
    at = tape.byte() % len(text)
    sign = chr(tape.byte())
    return tape.one_of(
        (
            text[:at] + sign + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + sign + text[at:],
        )
    )


def _is_right(text: str) -> bool:
    """The same rule, written down once more."""
    if not _FORM.match(text):
        return False
    value = int.from_bytes(hashlib.sha256((text[4:12] + text[13:56]).encode()).digest()[:8], "big")
    return text[56:] == "".join(_DIGITS[value // 62**place % 62] for place in range(6))


TARGET = Target("keys", check, seeds, (b"agw_", b"_"))
