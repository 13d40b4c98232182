"""The virtual keys as a list: what is known of each, and how it is cut and ordered."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ai_gateway.domain.spend_list import BudgetUse, OpenWindow


class KeyState(StrEnum):
    """`rotating`: in use, and so is the secret before its last rotation."""

    ACTIVE = "active"
    ROTATING = "rotating"
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeyFilter(StrEnum):
    """`active` shows those that are rotating too."""

    ALL = "all"
    ACTIVE = "active"
    ROTATING = "rotating"
    EXPIRED = "expired"
    REVOKED = "revoked"


class KeySort(StrEnum):
    """The columns that the keys can be sorted by."""

    CREATED = "created"
    LABEL = "label"
    OWNER = "owner"
    EXPIRES = "expires"
    LAST_USED = "last_used"
    DAILY_SPEND = "daily_spend"
    MONTHLY_SPEND = "monthly_spend"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One key with both of its budgets. `number` is its subject in accounts.

    `last_used_at` is the admission of its latest settled call; `previous_until` is None where no
    earlier secret works any more.
    """

    number: int
    key_id: str
    last4: str
    label: str
    user_id: int
    username: str
    is_owner_enabled: bool
    state: KeyState
    allowed_models: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    previous_until: datetime | None
    last_used_at: datetime | None
    daily: BudgetUse
    monthly: BudgetUse


@dataclass(frozen=True, slots=True)
class KeySelection:
    """Which keys are meant; of everybody where `owner_id` is None."""

    chosen: KeyFilter = KeyFilter.ALL
    search: str = ""
    owner_id: int | None = None


ALL_KEYS = KeySelection()


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many keys each filter shows."""

    everyone: int
    active: int
    rotating: int
    expired: int
    revoked: int

    def of(self, chosen: KeyFilter) -> int:
        return {
            KeyFilter.ALL: self.everyone,
            KeyFilter.ACTIVE: self.active,
            KeyFilter.ROTATING: self.rotating,
            KeyFilter.EXPIRED: self.expired,
            KeyFilter.REVOKED: self.revoked,
        }[chosen]


@dataclass(frozen=True, slots=True)
class KeyWindows:
    """The moment at which states are told, and both windows that are open then."""

    now: datetime
    daily: OpenWindow
    monthly: OpenWindow


@dataclass(frozen=True, slots=True)
class KeyCut:
    """Which rows of the sorted list are wanted."""

    sort: KeySort
    is_descending: bool
    offset: int
    count: int
