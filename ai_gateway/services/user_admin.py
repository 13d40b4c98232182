"""Users as the operator and administrators make and change them: names, passwords, roles."""

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ai_gateway.domain.audit import COMMAND_LINE, Actor, AuditEntry
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.roles import Role
from ai_gateway.services.audit import Audit
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.password_rules import PasswordRefused, check_password
from ai_gateway.services.user_audit import entries_of
from ai_gateway.stores.passwords import hash_password
from ai_gateway.stores.users import (
    AlreadyThere,
    StillNeeded,
    UserChange,
    UserFacts,
    UserRow,
    UserTable,
    UserValues,
    WriteRefused,
)

MAX_NAME_CHARACTERS = 150
MAX_EMAIL_CHARACTERS = 254
RANDOM_PASSWORD_BYTES = 12

# Only what every address has: whether mail arrives there is not for a pattern to say.
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

logger = logging.getLogger(__name__)


class UserAdminError(Exception):
    """The change cannot be made; the message says why, in one line. `field` is what is wrong."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class NewUser:
    """What is asked for when a user is made; without a password nobody can log in as it."""

    username: str
    email: str
    password: str | None
    role: Role


@dataclass(frozen=True, slots=True)
class UserEdit:
    """What an administrator wants a user to be; without a password the present one stays."""

    email: str
    role: Role
    is_enabled: bool
    password: str | None = None


class UserAdmin:
    """Makes and changes users; what it refuses raises `UserAdminError`."""

    def __init__(self, table: UserTable, keys: KeyAdmin, audit: Audit, clock: Clock) -> None:
        self._table = table
        self._keys = keys
        self._audit = audit
        self._clock = clock

    def create(self, new: NewUser, actor: Actor) -> int:
        """Make a user; returns its id."""
        if not new.username.isprintable() or not 0 < len(new.username) <= MAX_NAME_CHARACTERS:
            raise UserAdminError(
                f"a user name has 1 to {MAX_NAME_CHARACTERS} printable characters", "username"
            )
        _check_email(new.email)
        password_hash = None
        if new.password is not None:
            password_hash = _hash(new.password, new.username, new.email)
        with _told():
            return self._recorded(actor).add(
                new.username,
                new.email,
                password_hash=password_hash,
                role=new.role,
                now=self._clock(),
            )

    def edit(self, user_id: int, wanted: UserEdit, actor: Actor) -> bool:
        """Change a user; False where its keys are told only when Redis is back."""
        before = self._facts(user_id)
        if wanted.email != before.email:
            _check_email(wanted.email)
        password_hash = None
        if wanted.password is not None:
            password_hash = _hash(wanted.password, before.username, wanted.email)
        values = UserValues(wanted.email, wanted.role, wanted.is_enabled, password_hash)
        with _told():
            self._guarded(actor).change(user_id, values)
        return before.is_enabled == wanted.is_enabled or self._keys.publish_user(user_id)

    def set_enabled(self, user_id: int, actor: Actor, *, is_enabled: bool) -> bool:
        """Let a user in, or end its sessions and stop its keys; returns what `edit` returns."""
        before = self._facts(user_id)
        return self.edit(user_id, UserEdit(before.email, before.role, is_enabled), actor)

    def delete(self, user_id: int, actor: Actor) -> None:
        """Remove a user that has no keys and never called."""
        self._facts(user_id)
        with _told():
            self._guarded(actor).delete(user_id)

    def user_id(self, username: str) -> int:
        """The id of a user; raises `UserAdminError` for an unknown name."""
        user_id = self._table.find(username)
        if user_id is None:
            raise UserAdminError(f"there is no user named {username}; see: flask user list")
        return user_id

    def set_role(self, username: str, role: Role, actor: Actor) -> None:
        """Give a role; whoever has the machine may take that of the last administrator too."""
        self._recorded(actor).change(self.user_id(username), UserValues(role=role))

    def set_password(self, username: str, password: str, actor: Actor) -> None:
        """Set a password; all sessions of the user end."""
        user_id = self.user_id(username)
        values = UserValues(password_hash=_hash(password, username))
        self._recorded(actor).change(user_id, values)

    def users(self) -> list[UserRow]:
        return self._table.rows()

    def make_first_staff(self) -> tuple[int, str] | None:
        """Make `admin` with a password of its own where there is no staff; (id, password).

        Where its name or address is taken, the operator has to promote somebody.
        """
        if self._table.has_staff():
            return None
        password = random_password()
        first = NewUser("admin", "admin@localhost", password, Role.ADMIN)
        try:
            return self.create(first, COMMAND_LINE), password
        except UserAdminError:
            # Not a reason to refuse to start: the last of the staff may have been demoted.
            return None

    def fix_timezone(self, timezone: str) -> str:
        """Store the reporting zone at the first start; returns the one that is in force."""
        return self._table.fix_timezone(timezone, self._clock())

    def _facts(self, user_id: int) -> UserFacts:
        facts = self._table.facts(user_id)
        if facts is None:
            raise UserAdminError("this user does not exist any more")
        return facts

    def _recorded(self, actor: Actor) -> UserTable:
        return self._table.reviewed(lambda change: entries_of(change, actor, self._audit))

    def _guarded(self, actor: Actor) -> UserTable:
        """Likewise, and somebody who can administer has to be left."""

        def review(change: UserChange) -> list[AuditEntry]:
            had = change.before is not None and change.before.can_administer
            has = change.after is not None and change.after.can_administer
            if had and not has and change.other_administrators == 0:
                raise UserAdminError(
                    "this is the last administrator: give somebody else the role first", "role"
                )
            return entries_of(change, actor, self._audit)

        return self._table.reviewed(review)


def random_password() -> str:
    return secrets.token_urlsafe(RANDOM_PASSWORD_BYTES)


def _check_email(email: str) -> None:
    is_right = _EMAIL.fullmatch(email) and email.isprintable()
    if not is_right or len(email) > MAX_EMAIL_CHARACTERS:
        raise UserAdminError(f"{email[:MAX_EMAIL_CHARACTERS]!r} is no mail address", "email")


def _hash(password: str, *own_words: str) -> str:
    try:
        check_password(password, *own_words)
    except PasswordRefused as error:
        raise UserAdminError(str(error), "password") from error
    return hash_password(password)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the store refuses into a line for whoever asked."""
    try:
        yield
    except AlreadyThere as error:
        words = {"username": "name", "email": "mail address"}[error.field]
        raise UserAdminError(f"a user with this {words} exists already", error.field) from error
    except StillNeeded as error:
        raise UserAdminError(
            "this user has keys or recorded calls and cannot be deleted; disable it instead"
        ) from error
    except WriteRefused as error:
        reference = secrets.token_hex(4)
        logger.error("user_write_refused", extra={"reference": reference, "code": error.code})
        raise UserAdminError(f"the database refused this change; reference {reference}") from error
