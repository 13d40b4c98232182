"""What the audit keeps, and what it never does."""

import pytest

from ai_gateway.domain.audit import MASK, MAX_TEXT_CHARACTERS, Change, Facts, masked

KEY = "agw_A1b2C3d4_" + "x" * 49


@pytest.mark.parametrize(
    "name",
    ["password", "new_password", "password_hash", "api_key", "key", "SECRET_KEY".lower(), "token"],
)
def test_a_field_with_a_secret_name_is_masked_whatever_is_in_it(name: str) -> None:
    told = masked(Change({name: "hunter2"}, {name: "hunter3"}))
    assert (told.before, told.after) == ({name: MASK}, {name: MASK})


def test_an_absent_secret_is_told_as_absent() -> None:
    assert masked(Change({"password": None})).before == {"password": None}


@pytest.mark.parametrize(
    "secret", [KEY, "sk-abcdefgh12345678", "$argon2id$v=19$m=65536$abc"], ids=str
)
def test_a_secret_inside_any_text_is_masked(secret: str) -> None:
    told = masked(Change({"label": f"was {secret} once"}, reason=f"leaked: {secret}"))
    assert secret not in str(told)
    assert told.before == {"label": f"was {MASK} once"}
    assert told.reason == f"leaked: {MASK}"


def test_what_is_no_secret_stays_as_it_is() -> None:
    facts: Facts = {
        "role": "viewer",
        "key_id": "A1b2C3d4",
        "enabled": True,
        "limit": 5,
        "none": None,
    }
    assert masked(Change(facts, facts, "moved to sales")) == Change(facts, facts, "moved to sales")


def test_a_text_fits_its_column_and_every_database() -> None:
    told = masked(Change(after={"label": "a\0" + "b" * 1000}, reason="\0"))
    assert told.after == {"label": "a" + "b" * (MAX_TEXT_CHARACTERS - 1)}
    assert told.reason == ""
