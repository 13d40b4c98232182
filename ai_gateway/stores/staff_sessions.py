"""Log-ins of staff in SQL. Only hashes of session ids come in here, and none goes out."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.sql_errors import translated_errors, write
from ai_gateway.stores.tables import StaffSession, User, db


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a log-in is compared with."""

    user_id: int
    role: str
    password_hash: str | None
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A log-in with the facts of its user as they are now."""

    user_id: int
    username: str
    email: str
    role: str
    is_enabled: bool
    created_at: datetime
    last_seen_at: datetime


class StaffSessions:
    """The table `staff_session`.

    Each method is a short transaction of its own and not a part of the request's: a log-in reads,
    hashes for long, writes, and has to see what it wrote.
    """

    @translated_errors()
    def credentials(self, username: str) -> Credentials | None:
        query = select(User.id, User.role, User.password_hash, User.is_enabled)
        with Session(db.engine) as session:
            row = session.execute(query.where(User.username == username)).one_or_none()
        return None if row is None else Credentials(*row)

    def add(self, id_hash: str, user_id: int, *, dead_before: datetime, entry: AuditEntry) -> None:
        """Store a log-in and its line of the audit; drop those that began before `dead_before`."""

        def replace_dead(session: Session) -> None:
            session.execute(delete(StaffSession).where(StaffSession.created_at < dead_before))
            session.add(
                StaffSession(
                    id_hash=id_hash, user_id=user_id, created_at=entry.at, last_seen_at=entry.at
                )
            )
            session.add(row_of(entry))

        write(replace_dead)

    @translated_errors()
    def find(self, id_hash: str) -> StoredSession | None:
        query = (
            select(
                User.id,
                User.username,
                User.email,
                User.role,
                User.is_enabled,
                StaffSession.created_at,
                StaffSession.last_seen_at,
            )
            .join(User, User.id == StaffSession.user_id)
            .where(StaffSession.id_hash == id_hash)
        )
        with Session(db.engine) as session:
            row = session.execute(query).one_or_none()
        return None if row is None else StoredSession(*row)

    def touch(self, id_hash: str, now: datetime) -> None:
        """Note that the session was seen; tried once, since the next request tries again."""
        seen = update(StaffSession).where(StaffSession.id_hash == id_hash)
        write(lambda session: session.execute(seen.values(last_seen_at=now)), attempts=1)

    def remove(self, id_hash: str, entry: AuditEntry) -> None:
        """End a session; its line of the audit is written with it."""

        def end(session: Session) -> None:
            session.execute(delete(StaffSession).where(StaffSession.id_hash == id_hash))
            session.add(row_of(entry))

        write(end)
