"""Users in SQL: made, promoted and listed by commands."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError

from ai_gateway.domain.roles import Role
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import Installation, User, VirtualKey


class AlreadyThere(Exception):
    """A user of that name or mail address exists."""


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as commands show it."""

    user_id: int
    username: str
    email: str
    role: Role
    is_enabled: bool
    keys: int


class UserTable:
    """Users and the one row of the installation."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(sqlite_begin="IMMEDIATE")

    def add(
        self, username: str, email: str, *, password_hash: str | None, role: Role, now: datetime
    ) -> int:
        """Store a user; raises `AlreadyThere`."""
        user = User(
            username=username,
            email=email,
            password_hash=password_hash,
            role=role.value,
            is_enabled=True,
            created_at=now,
        )
        try:
            with transaction(self._engine) as session:
                session.add(user)
                session.flush()
                return user.id
        except IntegrityError as error:
            raise AlreadyThere(username) from error

    def find(self, username: str) -> int | None:
        with transaction(self._engine) as session:
            return session.scalar(select(User.id).where(User.username == username))

    def set_role(self, user_id: int, role: Role) -> None:
        with transaction(self._engine) as session:
            session.execute(update(User).where(User.id == user_id).values(role=role.value))

    def set_password(self, user_id: int, password_hash: str) -> None:
        with transaction(self._engine) as session:
            session.execute(
                update(User).where(User.id == user_id).values(password_hash=password_hash)
            )

    def has_staff(self) -> bool:
        with transaction(self._engine) as session:
            return bool(session.scalar(select(func.count()).where(User.role != Role.NONE.value)))

    def rows(self) -> list[UserRow]:
        keys = (
            select(func.count())
            .where(VirtualKey.user_id == User.id, VirtualKey.status == "active")
            .scalar_subquery()
        )
        query = select(User, keys).order_by(User.username)
        with transaction(self._engine) as session:
            return [
                UserRow(u.id, u.username, u.email, Role(u.role), u.is_enabled, count)
                for u, count in session.execute(query)
            ]

    def fix_timezone(self, timezone: str, now: datetime) -> str:
        """Store the reporting zone at the first start; returns the one that is in force."""
        with transaction(self._engine) as session:
            row = session.get(Installation, 1)
            if row is None:
                row = Installation(id=1, timezone=timezone, created_at=now)
                session.add(row)
            return row.timezone
