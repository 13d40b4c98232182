"""What a new password has to be: long, not a common one, and not one's own name."""

from ai_gateway.stores.passwords import is_common_password

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
MIN_DIFFERENT_CHARACTERS = 5
MIN_OWN_CHARACTERS = 4


class PasswordRefused(Exception):
    """The password cannot be taken; the message says why, in one line, and never repeats it."""


def check_password(password: str, *own_words: str) -> None:
    """Raise `PasswordRefused` for a weak one; `own_words` are the user's name and address."""
    if len(password) < MIN_CHARACTERS:
        raise PasswordRefused(f"a password needs at least {MIN_CHARACTERS} characters")
    if len(password) > MAX_CHARACTERS:
        raise PasswordRefused(f"a password has at most {MAX_CHARACTERS} characters")
    if len(set(password)) < MIN_DIFFERENT_CHARACTERS:
        raise PasswordRefused("a password needs more different characters")
    if is_common_password(password):
        raise PasswordRefused("this password is on the list of common ones; choose another")
    if any(_is_made_of(password.casefold(), word.casefold()) for word in own_words):
        raise PasswordRefused("a password must be more than the user's own name or address")


def _is_made_of(password: str, word: str) -> bool:
    """Whether little is left of a password without a word that everybody knows."""
    rest = password.replace(word, "") if len(word) >= MIN_OWN_CHARACTERS else password
    return rest != password and len(rest) < MIN_CHARACTERS // 2
