"""A user's own password: changed by whoever knows the present one, and then other sessions end."""

from ai_gateway.domain.audit import Action, Actor
from ai_gateway.services.audit import Audit
from ai_gateway.services.password_rules import PasswordRefused, check_password
from ai_gateway.services.sign_in import SignedInUser, SignIn, digest
from ai_gateway.services.user_audit import entries_of
from ai_gateway.stores.passwords import hash_password
from ai_gateway.stores.users import UserTable, UserValues


class WrongPassword(Exception):
    """What was given as the present password is not it."""


class OwnPassword:
    """Changes the password of the user who asks."""

    def __init__(self, table: UserTable, sign_in: SignIn, audit: Audit) -> None:
        self._table = table
        self._sign_in = sign_in
        self._audit = audit

    def change(
        self, user: SignedInUser, token: str, actor: Actor, *, present: str, new: str
    ) -> None:
        """Change it; raises `WrongPassword`, `PasswordRefused` or `TooManyLogIns`.

        Guesses at the present one count as failed log-ins: a stolen session is no way around them.
        """
        check_password(new, user.username, user.email)
        if new == present:
            raise PasswordRefused("the new password is the present one")
        known = self._sign_in.verified(Action.PASSWORD_CHANGE, user.username, present, actor)
        if known is None:
            raise WrongPassword
        self._table.reviewed(lambda change: entries_of(change, actor, self._audit)).change(
            user.user_id, UserValues(password_hash=hash_password(new)), kept_session=digest(token)
        )
