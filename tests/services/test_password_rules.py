"""Which passwords are taken."""

import pytest

from ai_gateway.services.password_rules import (
    MAX_CHARACTERS,
    MIN_CHARACTERS,
    PasswordRefused,
    check_password,
)
from ai_gateway.stores.passwords import COMMON_PASSWORDS

OWN = ("amelia.stone", "amelia.stone@example.com")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "at least 12"),
        ("k7#mQ2vX9!p", "at least 12"),
        ("ab" * MAX_CHARACTERS, "at most"),
        ("aaaaaaaaaaaaaaaa", "more different"),
        ("abcdabcdabcdabcd", "more different"),
        ("administrator", "list of common"),
        ("AdminiStrator", "list of common"),
        ("1qaz2wsx3edc", "list of common"),
        ("amelia.stone", "own name"),
        ("Amelia.Stone1", "own name"),
        ("amelia.stone@example.com", "own name"),
    ],
)
def test_a_weak_password_is_refused_and_never_repeated(password: str, reason: str) -> None:
    with pytest.raises(PasswordRefused, match=reason) as caught:
        check_password(password, *OWN)
    assert not password or password not in str(caught.value)


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "k7#mQ2vX9!pd", "größer als zwölf", "amelia.stone likes green tea"],
)
def test_a_long_one_of_ones_own_is_taken(password: str) -> None:
    check_password(password, *OWN)


def test_a_short_user_name_spoils_no_password() -> None:
    check_password("anna anna bob bobby", "ann")


def test_the_list_holds_what_the_length_would_let_through() -> None:
    words = COMMON_PASSWORDS.read_text().splitlines()
    assert len(words) > 100
    assert len(set(words)) == len(words)
    assert all(len(word) >= MIN_CHARACTERS and word == word.casefold() for word in words)
