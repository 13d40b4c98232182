"""Who asks, and whose figures they may see: staff everybody's, anybody else only their own.

A key reads. Only a session writes, and it proves by its token that a page of ours sent it.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from flask import request
from flask_wtf.csrf import CSRFError

from ai_gateway.domain.roles import Permission, allows
from ai_gateway.errors import InvalidKey, InvalidRequest, NotPermitted
from ai_gateway.services.sign_in import SignedInUser
from ai_gateway.web.admin.staff import csrf, current_member
from ai_gateway.web.context import services
from ai_gateway.web.credentials import credential_of

CSRF_HEADER = "X-CSRFToken"
IDEMPOTENCY_HEADER = "Idempotency-Key"
MAX_ID_CHARACTERS = 200


class Access(StrEnum):
    """Who may ask for an address; the words stand in the OpenAPI document."""

    OWN = "Every user; the figures of others are for staff."
    STAFF = "Staff: a key or a session of a user with the permission `view_ai_analytics`."
    PRICES = "Sessions of staff with the permission `manage_prices`, with their CSRF token."
    KEYS = (
        "Sessions, with their CSRF token: on one's own keys; on those of others with the "
        "permission `manage_keys`."
    )
    LIMITS = "Sessions of staff with the permission `manage_limits`, with their CSRF token."
    RESET = "Sessions of staff with the permission `reset_user_spend`, with their CSRF token."


_WRITERS = MappingProxyType(
    {
        Access.RESET: Permission.RESET_USER_SPEND,
        Access.LIMITS: Permission.MANAGE_LIMITS,
        Access.PRICES: Permission.MANAGE_PRICES,
    }
)


@dataclass(frozen=True, slots=True)
class Caller:
    """A known user, by a key or by a session."""

    user: SignedInUser
    has_key: bool

    @property
    def is_staff(self) -> bool:
        return allows(self.user.role, Permission.VIEW_AI_ANALYTICS)

    @property
    def key_owner(self) -> int | None:
        """Whose keys may be changed; None is everybody's."""
        is_manager = allows(self.user.role, Permission.MANAGE_KEYS)
        return None if is_manager else self.user.user_id

    def subject(self, user_id: int | None) -> int | None:
        """Whose figures are meant; None is the whole installation. Raises `NotPermitted`."""
        if self.is_staff:
            return user_id
        return self.one(self.user.user_id if user_id is None else user_id)

    def one(self, user_id: int) -> int:
        """The same id, if its figures may be seen; raises `NotPermitted`."""
        if user_id != self.user.user_id and not self.is_staff:
            raise NotPermitted("You may see your own figures only: leave user_id out.")
        return user_id


def identify() -> Caller:
    """Who sent this request: a key counts before a session. Raises `InvalidKey`."""
    credential = credential_of(request)
    if credential is not None:
        return Caller(services().api_callers.by_key(credential), has_key=True)
    member = current_member()
    if member is None:
        raise InvalidKey("missing")
    return Caller(member.user, has_key=False)


def admit(caller: Caller, access: Access) -> None:
    """Let the caller pass; raises `NotPermitted`, or `InvalidRequest` without the CSRF token."""
    if access is Access.STAFF and not caller.is_staff:
        raise NotPermitted("This is for staff: your user has no role that may see it.")
    if access is Access.KEYS:
        _admit_session(caller)
        _check_token()
    if access in _WRITERS:
        _admit_writer(caller, _WRITERS[access])


def _admit_writer(caller: Caller, permission: Permission) -> None:
    _admit_session(caller)
    if not allows(caller.user.role, permission):
        raise NotPermitted(f"This needs the permission {permission}, which your role has not.")
    _check_token()


def _admit_session(caller: Caller) -> None:
    if caller.has_key:
        raise NotPermitted("A key only reads. Log in and send the session's cookie instead.")


def _check_token() -> None:
    try:
        csrf.protect()  # type: ignore[no-untyped-call]  # it ships no types
    except CSRFError as error:
        raise InvalidRequest(
            f"{CSRF_HEADER}: send the CSRF token of the session, which is missing or old.",
            CSRF_HEADER,
        ) from error


def idempotency_id() -> str:
    """What the caller chose so that a repeat acts once, or nothing; raises `InvalidRequest`."""
    chosen = request.headers.get(IDEMPOTENCY_HEADER, "")
    if len(chosen) > MAX_ID_CHARACTERS:
        raise InvalidRequest(
            f"{IDEMPOTENCY_HEADER}: use at most {MAX_ID_CHARACTERS} characters.", IDEMPOTENCY_HEADER
        )
    return chosen
