"""What a worker knows of a virtual key: whose it is, what it may do, and its limits in force."""

from dataclasses import dataclass, field
from datetime import datetime

from ai_gateway.domain.limits import BUDGETS, INSTALLATION_ID, Limit, Scope
from ai_gateway.domain.virtual_key import KeyStatus


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A copy of a key as SQL had it at `version`; `limits` are in the order of `BUDGETS`.

    `subject_id` is the key's number in its accounts; `status` covers a disabled owner too.
    """

    key_id: str
    subject_id: int
    digest: str = field(repr=False)
    user_id: int
    status: KeyStatus
    expires_at: datetime | None
    allowed_models: tuple[str, ...]
    limits: tuple[Limit, ...]
    version: int

    def __post_init__(self) -> None:
        if len(self.limits) != len(BUDGETS):
            raise ValueError("a key record needs one limit for each budget")

    @property
    def has_budget(self) -> bool:
        return any(limit.is_amount for limit in self.limits)

    @property
    def subjects(self) -> dict[Scope, int]:
        return {
            Scope.INSTALLATION: INSTALLATION_ID,
            Scope.USER: self.user_id,
            Scope.KEY: self.subject_id,
        }
