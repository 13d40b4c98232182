"""The credential that we issue: its form, checksum, digest, expiry and permitted models."""

import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.virtual_key import (
    RANDOM_BYTES,
    PresentedKey,
    digest_key,
    is_expired,
    is_model_allowed,
    make_key,
    parse_key,
)

KEYS = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES).map(make_key)
KEY = make_key(bytes(range(RANDOM_BYTES)))
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@given(KEYS)
def test_key_is_read_back_as_it_was_made(key: PresentedKey) -> None:
    assert parse_key(key.text) == key


@given(KEYS)
def test_key_has_the_published_form(key: PresentedKey) -> None:
    word, key_id, rest = key.text.split("_")
    assert (word, key_id) == ("agw", key.key_id)
    assert (len(key_id), len(rest)) == (8, 43 + 6)


@given(KEYS, st.data())
def test_checksum_rejects_every_change_of_one_character(
    key: PresentedKey, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(key.text) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "_-"))
    changed = key.text[:place] + other + key.text[place + 1 :]
    assert (parse_key(changed) is None) == (changed != key.text)


def test_checksum_rejects_every_digit_at_every_place_of_a_key() -> None:
    text = KEY.text
    changed = [
        text[:place] + digit + text[place + 1 :]
        for place in range(len(text))
        for digit in string.ascii_letters + string.digits
        if digit != text[place]
    ]
    assert [one for one in changed if parse_key(one) is not None] == []


@given(KEYS, st.data())
def test_two_characters_that_changed_places_are_rejected(
    key: PresentedKey, data: st.DataObject
) -> None:
    place = data.draw(st.integers(4, len(key.text) - 2))
    one, two = key.text[place], key.text[place + 1]
    swapped = key.text[:place] + two + one + key.text[place + 2 :]
    assert (parse_key(swapped) is None) == (one != two)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("agw_", id="prefix alone"),
        pytest.param("sk-proj-abc", id="of a provider"),
        pytest.param(KEY.text + "a", id="one too long"),
        pytest.param(KEY.text[:-1], id="one too short"),
        pytest.param(f"{KEY.text}\n", id="line end"),
        pytest.param(f" {KEY.text}", id="blank before"),
        pytest.param(KEY.text.upper(), id="upper case"),
        pytest.param(KEY.text[:-1] + "\N{FULLWIDTH DIGIT ONE}", id="digit of another script"),
        pytest.param(KEY.text[:-1] + "\ud800", id="half a character"),
        pytest.param("agw_" + "\0" * 58, id="nul"),
        pytest.param("a" * 2**20, id="a megabyte"),
        pytest.param("agw_" + "A" * 2**20, id="a megabyte with the prefix"),
        pytest.param(KEY.text * 2**14, id="the same key very often"),
    ],
)
def test_junk_is_no_key(text: str) -> None:
    assert parse_key(text) is None


@given(st.text())
def test_any_text_is_a_key_or_none_without_an_error(text: str) -> None:
    assert parse_key(text) is None


def test_repr_shows_the_id_alone() -> None:
    assert repr(KEY) == f"PresentedKey({KEY.key_id!r})"


@given(KEYS, KEYS, st.binary(min_size=1), st.binary(min_size=1))
def test_digest_depends_on_the_whole_key_and_on_the_pepper(
    one: PresentedKey, two: PresentedKey, pepper: bytes, other: bytes
) -> None:
    digest = digest_key(one, pepper)
    assert len(digest) == 64
    assert digest == digest_key(one, pepper)
    assert one == two or digest != digest_key(two, pepper)
    # HMAC fills a short pepper up with zeros.
    if pepper.rstrip(b"\0") != other.rstrip(b"\0"):
        assert digest != digest_key(one, other)


@pytest.mark.parametrize(
    ("expires_at", "is_over"),
    [
        pytest.param(None, False, id="never"),
        pytest.param(NOW + timedelta(microseconds=1), False, id="in a moment"),
        pytest.param(NOW, True, id="now"),
        pytest.param(NOW - timedelta(days=1), True, id="yesterday"),
    ],
)
def test_key_expires_at_its_moment(expires_at: datetime | None, *, is_over: bool) -> None:
    assert is_expired(expires_at, NOW) is is_over


@pytest.mark.parametrize(
    ("allowed", "is_allowed"),
    [
        pytest.param((), True, id="empty list allows all"),
        pytest.param(("gpt-4o-mini",), True, id="by its name"),
        pytest.param(("openai/gpt-4o-mini",), True, id="by provider and name"),
        pytest.param(("lab/gpt-4o-mini",), False, id="of another provider"),
        pytest.param(("gpt-4o",), False, id="a part of its name"),
        pytest.param(("GPT-4o-mini",), False, id="in another case"),
        pytest.param(("*",), False, id="no patterns"),
    ],
)
def test_permitted_models_are_named_exactly(allowed: tuple[str, ...], *, is_allowed: bool) -> None:
    assert is_model_allowed(allowed, "openai", "gpt-4o-mini") is is_allowed
