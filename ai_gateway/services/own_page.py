"""What users see of themselves: budgets, use, keys, their last calls, and what was refused."""

from dataclasses import dataclass

from ai_gateway.services.periods import AskedRange
from ai_gateway.services.user_detail import UserDetail, UserDetails
from ai_gateway.stores.own_refusals import OwnRefusal, OwnRefusals

RECENT_REFUSALS = 10


@dataclass(frozen=True, slots=True)
class OwnPage:
    """Nothing of anybody else is in it."""

    detail: UserDetail
    refusals: tuple[OwnRefusal, ...]


class OwnPages:
    """Reads for one user, whom the session names."""

    def __init__(self, details: UserDetails, refusals: OwnRefusals) -> None:
        self._details = details
        self._refusals = refusals

    def read(self, user_id: int, asked: AskedRange) -> OwnPage:
        """Raises `UserNotFound` for somebody who was deleted this moment."""
        detail = self._details.detail(user_id, asked)
        return OwnPage(detail, self._refusals.newest(user_id, RECENT_REFUSALS))
