"""Users as the operator makes them: names, passwords, roles."""

import secrets
from dataclasses import dataclass

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.roles import Role
from ai_gateway.stores.passwords import hash_password
from ai_gateway.stores.users import AlreadyThere, UserRow, UserTable

MIN_PASSWORD_CHARACTERS = 12
MAX_NAME_CHARACTERS = 150
MAX_EMAIL_CHARACTERS = 254


class UserAdminError(Exception):
    """The change cannot be made; the message says why, in one line."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """What is asked for when a user is made; without a password nobody can log in as it."""

    username: str
    email: str
    password: str | None
    role: Role


class UserAdmin:
    """Makes and changes users."""

    def __init__(self, table: UserTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def create(self, new: NewUser) -> int:
        """Make a user; returns its id; raises `UserAdminError`."""
        if not new.username.isprintable() or not 0 < len(new.username) <= MAX_NAME_CHARACTERS:
            raise UserAdminError(f"a user name has 1 to {MAX_NAME_CHARACTERS} printable characters")
        is_short = len(new.email) <= MAX_EMAIL_CHARACTERS
        if "@" not in new.email or not new.email.isprintable() or not is_short:
            raise UserAdminError(f"{new.email[:MAX_EMAIL_CHARACTERS]!r} is no mail address")
        password_hash = self._hash(new.password) if new.password is not None else None
        try:
            return self._table.add(
                new.username,
                new.email,
                password_hash=password_hash,
                role=new.role,
                now=self._clock(),
            )
        except AlreadyThere as error:
            raise UserAdminError(
                f"a user named {new.username} or with mail {new.email} exists already"
            ) from error

    def user_id(self, username: str) -> int:
        """The id of a user; raises `UserAdminError` for an unknown name."""
        user_id = self._table.find(username)
        if user_id is None:
            raise UserAdminError(f"there is no user named {username}; see: flask user list")
        return user_id

    def set_role(self, username: str, role: Role) -> None:
        self._table.set_role(self.user_id(username), role)

    def set_password(self, username: str, password: str) -> None:
        self._table.set_password(self.user_id(username), self._hash(password))

    def users(self) -> list[UserRow]:
        return self._table.rows()

    def make_first_staff(self) -> tuple[int, str] | None:
        """Make `admin` with a password of its own where there is no staff; (id, password).

        Where its name or address is taken, the operator has to promote somebody.
        """
        if self._table.has_staff():
            return None
        password = secrets.token_urlsafe(12)
        first = NewUser("admin", "admin@localhost", password, Role.ADMIN)
        try:
            return self.create(first), password
        except UserAdminError:
            # Not a reason to refuse to start: the last of the staff may have been demoted.
            return None

    def fix_timezone(self, timezone: str) -> str:
        """Store the reporting zone at the first start; returns the one that is in force."""
        return self._table.fix_timezone(timezone, self._clock())

    def _hash(self, password: str) -> str:
        if len(password) < MIN_PASSWORD_CHARACTERS:
            raise UserAdminError(f"a password needs at least {MIN_PASSWORD_CHARACTERS} characters")
        return hash_password(password)
