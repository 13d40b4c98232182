"""Users in SQL. A change and its lines of the audit are one transaction: both, or neither."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Engine, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.roles import Role, read_role
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.tables import (
    Installation,
    LedgerEntry,
    SpendLimit,
    StaffSession,
    User,
    VirtualKey,
)

Answer = TypeVar("Answer")


class AlreadyThere(Exception):
    """Another user has that `field`: username or email."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class StillNeeded(Exception):
    """The user has keys or recorded calls, so that it cannot be deleted."""


class WriteRefused(Exception):
    """The database refused a row for a reason that nobody foresaw; `code` is its own word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as commands show it."""

    user_id: int
    username: str
    email: str
    role: Role
    is_enabled: bool
    keys: int


@dataclass(frozen=True, slots=True)
class UserFacts:
    """A user at one moment, as far as a change or the audit needs it."""

    user_id: int
    username: str
    email: str
    role: Role
    is_enabled: bool
    has_password: bool

    @property
    def can_administer(self) -> bool:
        return self.role is Role.ADMIN and self.is_enabled and self.has_password


@dataclass(frozen=True, slots=True)
class UserValues:
    """What to change of a user; None leaves it as it is."""

    email: str | None = None
    role: Role | None = None
    is_enabled: bool | None = None
    password_hash: str | None = None


@dataclass(frozen=True, slots=True)
class UserChange:
    """A change inside its transaction, not yet committed; `before` or `after` may be absent."""

    before: UserFacts | None
    after: UserFacts | None
    other_administrators: int
    is_password_new: bool = False


Review = Callable[[UserChange], Iterable[AuditEntry]]
"""Gives a change its lines of the audit, or raises, and then nothing is changed."""


class UserTable:
    """Users and the one row of the installation."""

    def __init__(self, engine: Engine, review: Review = lambda _: ()) -> None:
        self._engine = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._review = review

    def reviewed(self, review: Review) -> "UserTable":
        """The same table, each change of which goes through `review`."""
        return UserTable(self._engine, review)

    def add(
        self, username: str, email: str, *, password_hash: str | None, role: Role, now: datetime
    ) -> int:
        """Store a user; raises `AlreadyThere`."""

        def add(session: Session) -> int:
            _refuse_taken(session, username=username, email=email)
            user = User(
                username=username,
                email=email,
                password_hash=password_hash,
                role=role.value,
                is_enabled=True,
                created_at=now,
            )
            session.add(user)
            session.flush()
            self._record(session, None, _facts(user))
            return user.id

        return self._write(add)

    def change(self, user_id: int, values: UserValues, *, kept_session: str = "") -> None:
        """Change a user; raises `AlreadyThere`.

        A new password and being disabled end all sessions but the one whose hash is kept; being
        enabled or disabled makes new versions of the keys, for whoever publishes their copies.
        """

        def change(session: Session) -> None:
            user = session.scalars(select(User).where(User.id == user_id)).one()
            before = _facts(user)
            if values.email is not None and values.email != user.email:
                _refuse_taken(session, email=values.email)
            is_password_new = values.password_hash is not None
            _apply(user, values)
            session.flush()
            after = _facts(user)
            if before.is_enabled != after.is_enabled:
                keys = update(VirtualKey).where(VirtualKey.user_id == user_id)
                session.execute(keys.values(version=VirtualKey.version + 1))
            if is_password_new or not after.is_enabled:
                session.execute(
                    delete(StaffSession).where(
                        StaffSession.user_id == user_id, StaffSession.id_hash != kept_session
                    )
                )
            self._record(session, before, after, is_password_new=is_password_new)

        self._write(change)

    def delete(self, user_id: int) -> None:
        """Remove a user that never called; raises `StillNeeded` for any other."""

        def delete_unused(session: Session) -> None:
            has_keys = exists().where(VirtualKey.user_id == user_id)
            has_entries = exists().where(LedgerEntry.user_id == user_id)
            # Entries of long ago are in files; what they add up to stays.
            has_sums = exists().where(UsageHour.user_id == user_id)
            if session.scalar(select(or_(has_keys, has_entries, has_sums))):
                raise StillNeeded
            user = session.scalars(select(User).where(User.id == user_id)).one()
            before = _facts(user)
            session.execute(delete(StaffSession).where(StaffSession.user_id == user_id))
            of_user = (SpendLimit.scope == Scope.USER.value, SpendLimit.subject_id == user_id)
            session.execute(delete(SpendLimit).where(*of_user))
            session.delete(user)
            session.flush()
            self._record(session, before, None)

        self._write(delete_unused)

    def find(self, username: str) -> int | None:
        with transaction(self._engine) as session:
            return session.scalar(select(User.id).where(User.username == username))

    def facts(self, user_id: int) -> UserFacts | None:
        with transaction(self._engine) as session:
            user = session.get(User, user_id)
            return None if user is None else _facts(user)

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

    def _write(self, action: Callable[[Session], Answer]) -> Answer:
        try:
            return write(action, engine=self._engine)
        except IntegrityError as error:
            # Its text has the statement and what was in it; neither belongs into a log or a page.
            raise WriteRefused(type(error.orig).__name__) from None

    def _record(
        self,
        session: Session,
        before: UserFacts | None,
        after: UserFacts | None,
        *,
        is_password_new: bool = False,
    ) -> None:
        changed = after or before
        others = _other_administrators(session, changed.user_id) if changed else 0
        change = UserChange(before, after, others, is_password_new)
        session.add_all(row_of(entry) for entry in self._review(change))


def _other_administrators(session: Session, user_id: int) -> int:
    # Locked, so that two administrators cannot demote one another at the same moment.
    query = select(User.id).where(
        User.id != user_id,
        User.role == Role.ADMIN.value,
        User.is_enabled,
        User.password_hash.is_not(None),
    )
    return len(session.scalars(query.order_by(User.id).with_for_update()).all())


def _refuse_taken(session: Session, **wanted: str) -> None:
    for field, text in wanted.items():
        if session.scalar(select(exists().where(getattr(User, field) == text))):
            raise AlreadyThere(field)


def _apply(user: User, values: UserValues) -> None:
    user.email = user.email if values.email is None else values.email
    user.role = user.role if values.role is None else values.role.value
    user.is_enabled = user.is_enabled if values.is_enabled is None else values.is_enabled
    user.password_hash = (
        user.password_hash if values.password_hash is None else values.password_hash
    )


def _facts(user: User) -> UserFacts:
    return UserFacts(
        user_id=user.id,
        username=user.username,
        email=user.email,
        role=read_role(user.role),
        is_enabled=user.is_enabled,
        has_password=user.password_hash is not None,
    )
