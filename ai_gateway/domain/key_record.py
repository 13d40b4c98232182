"""What a worker knows of a virtual key: whose it is, what it may do, and its limits in force."""

from dataclasses import dataclass, field
from datetime import datetime
from hmac import compare_digest

from ai_gateway.domain.limits import BUDGETS, INSTALLATION_ID, Limit, Scope
from ai_gateway.domain.virtual_key import KeyStatus, is_expired


@dataclass(frozen=True, slots=True)
class OutgoingSecret:
    """The secret that a rotation replaced: it works until the moment that was stated then."""

    digest: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A copy of a key as SQL had it at `version`.

    `limits` are those that were chosen for the key and its owner, in the order of `BUDGETS`: None
    inherits what the house rules say. `subject_id` is the key's number in its accounts; `status`
    covers a disabled owner too.
    """

    key_id: str
    subject_id: int
    digest: str = field(repr=False)
    user_id: int
    status: KeyStatus
    expires_at: datetime | None
    allowed_models: tuple[str, ...]
    limits: tuple[Limit | None, ...]
    version: int
    outgoing: OutgoingSecret | None = None

    def __post_init__(self) -> None:
        if len(self.limits) != len(BUDGETS):
            raise ValueError("a key record needs one limit for each budget")

    @property
    def subjects(self) -> dict[Scope, int]:
        return {
            Scope.INSTALLATION: INSTALLATION_ID,
            Scope.USER: self.user_id,
            Scope.KEY: self.subject_id,
        }


def fault_of(record: KeyRecord | None, digest: str, now: datetime) -> str | None:
    """Why a credential of this digest is refused, as a word of metrics; None where it is good."""
    outgoing = record.outgoing if record else None
    # Both are compared, also on a miss, so that the time tells nothing.
    is_current = compare_digest(digest, record.digest if record else digest[::-1])
    is_outgoing = compare_digest(digest, outgoing.digest if outgoing else digest[::-1])
    if record is None or not (is_current or is_outgoing):
        return "invalid"
    if record.status is not KeyStatus.ACTIVE:
        return "revoked"
    if not is_current and outgoing and is_expired(outgoing.until, now):
        return "expired"
    return "expired" if is_expired(record.expires_at, now) else None
