"""Who a user is, for whoever shows figures of one."""

from dataclasses import dataclass

from sqlalchemy import select

from ai_gateway.domain.roles import Role, read_role
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import User, db


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user as the database has them now."""

    user_id: int
    username: str
    email: str
    role: Role
    is_enabled: bool


class UserDirectory:
    """Reads users by their id."""

    @translated_errors()
    def find(self, user_id: int) -> KnownUser | None:
        columns = (User.id, User.username, User.email, User.role, User.is_enabled)
        row = db.session.execute(select(*columns).where(User.id == user_id)).one_or_none()
        if row is None:
            return None
        found_id, username, email, role, is_enabled = row
        return KnownUser(found_id, username, email, read_role(role), is_enabled)
