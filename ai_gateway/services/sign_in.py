"""Logging in and out of the staff pages. A wrong name and a wrong password look the same."""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.roles import Role, read_role
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.passwords import verify_password
from ai_gateway.stores.staff_sessions import StaffSessions

IDLE_TIME = timedelta(minutes=60)
LIFE_TIME = timedelta(hours=12)
TOUCH_INTERVAL = timedelta(minutes=1)
TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Who sent a request, as the database knows them now."""

    user_id: int
    username: str
    email: str
    role: Role


class SignIn:
    """Issues, reads and ends the sessions of staff."""

    def __init__(self, sessions: StaffSessions, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def sign_in(self, username: str, password: str) -> str | None:
        """Begin a session of its own for each log-in and return its id; None where refused."""
        # A NUL is refused by PostgreSQL; no user has one in the name.
        known = None if "\0" in username else self._sessions.credentials(username)
        is_right = verify_password(known.password_hash if known else None, password)
        if known is None or not is_right or not known.is_enabled:
            return None
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._clock()
        self._sessions.add(_digest(token), known.user_id, now=now, dead_before=now - LIFE_TIME)
        return token

    def load(self, token: str) -> SignedInUser | None:
        """Whose session it is, and note that it was seen; None once it is over."""
        id_hash, now = _digest(token), self._clock()
        session = self._sessions.find(id_hash)
        if session is None or not session.is_enabled:
            return None
        if now >= session.created_at + LIFE_TIME or now >= session.last_seen_at + IDLE_TIME:
            return None
        if now >= session.last_seen_at + TOUCH_INTERVAL:
            # A database that is busy for a moment must not cost anybody the page.
            with suppress(GatewayUnavailable):
                self._sessions.touch(id_hash, now)
        return SignedInUser(
            session.user_id, session.username, session.email, read_role(session.role)
        )

    def sign_out(self, token: str) -> None:
        self._sessions.remove(_digest(token))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
