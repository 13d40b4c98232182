"""Logging in and out of the staff pages. A wrong name and a wrong password look the same."""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from ai_gateway.domain.audit import Action, Actor, Result, Target, user_target
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.roles import Role, read_role
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.audit import Audit
from ai_gateway.stores.log_in_limits import LogInLimits, Wait
from ai_gateway.stores.passwords import verify_password
from ai_gateway.stores.staff_sessions import Credentials, StaffSessions, StoredSession

IDLE_TIME = timedelta(minutes=60)
LIFE_TIME = timedelta(hours=12)
TOUCH_INTERVAL = timedelta(minutes=1)
TOKEN_BYTES = 32


class TooManyLogIns(Exception):
    """The user or address failed too often of late; it was not even tried."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class SignedInUser:
    """Who sent a request, as the database knows them now."""

    user_id: int
    username: str
    email: str
    role: Role


class SignIn:
    """Issues, reads and ends the sessions of staff."""

    def __init__(
        self, sessions: StaffSessions, limits: LogInLimits, audit: Audit, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._limits = limits
        self._audit = audit
        self._clock = clock

    def sign_in(self, username: str, password: str, actor: Actor) -> str | None:
        """Begin a session of its own for each log-in and return its id; None where refused.

        Raises `TooManyLogIns`. Whether it is or not, `actor` is who asks, known by address alone.
        """
        user = self.verified(Action.LOG_IN, username, password, actor)
        if user is None:
            return None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now_known = replace(actor, user_id=user.user_id, name=username, role=read_role(user.role))
        entry = self._audit.entry(Action.LOG_IN, now_known, user_target(user.user_id, username))
        dead_before = entry.at - LIFE_TIME
        self._sessions.add(digest(token), user.user_id, dead_before=dead_before, entry=entry)
        return token

    def verified(
        self, action: Action, username: str, password: str, actor: Actor
    ) -> Credentials | None:
        """The enabled user of that name and password; None where refused, which is recorded."""
        wait = self._limits.take(username, actor.address)
        # A NUL is refused by PostgreSQL; no user has one in the name.
        known = None if "\0" in username else self._sessions.credentials(username)
        # A name that nobody has is not recorded: people type passwords into that field.
        target = user_target(known.user_id, username) if known else None
        if wait is not None:
            self._refuse(action, actor, target, wait)
        is_right = verify_password(known.password_hash if known else None, password)
        if known is None or not is_right or not known.is_enabled:
            self._audit.record(action, actor, target, result=Result.FAILED)
            return None
        self._limits.give_back(username, actor.address)
        return known

    def load(self, token: str) -> SignedInUser | None:
        """Whose session it is, and note that it was seen; None once it is over."""
        session = self._running(token)
        if session is None:
            return None
        now = self._clock()
        if now >= session.last_seen_at + TOUCH_INTERVAL:
            # A database that is busy for a moment must not cost anybody the page.
            with suppress(GatewayUnavailable):
                self._sessions.touch(digest(token), now)
        return _user_of(session)

    def glance(self, token: str) -> SignedInUser | None:
        """The same for a request that a page sends by itself: nobody was seen at it."""
        session = self._running(token)
        return None if session is None else _user_of(session)

    def sign_out(self, token: str, actor: Actor) -> None:
        self._sessions.remove(digest(token), self._audit.entry(Action.LOG_OUT, actor))

    def _running(self, token: str) -> StoredSession | None:
        session, now = self._sessions.find(digest(token)), self._clock()
        if session is None or not session.is_enabled:
            return None
        if now >= session.created_at + LIFE_TIME or now >= session.last_seen_at + IDLE_TIME:
            return None
        return session

    def _refuse(self, action: Action, actor: Actor, target: Target | None, wait: Wait) -> None:
        # Only the first of a window: whoever is refused must not fill the audit at will.
        if wait.is_first:
            self._audit.record(action, actor, target, result=Result.LIMITED)
        raise TooManyLogIns(timedelta(seconds=wait.seconds))


def _user_of(session: StoredSession) -> SignedInUser:
    return SignedInUser(session.user_id, session.username, session.email, read_role(session.role))


def digest(token: str) -> str:
    """What is stored of the id of a session."""
    return hashlib.sha256(token.encode()).hexdigest()
