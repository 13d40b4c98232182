"""A request that we refused, as it is kept for staff: outside the ledger, in no total."""

from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.call import Outcome
from ai_gateway.errors import Refusal

REFUSALS = frozenset({Outcome.CLIENT_ERROR, Outcome.AUTH_ERROR, Outcome.BUDGET_BLOCKED})
"""The outcomes that are refusals of ours."""

MAX_NAME = 160


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """Who asked for what, and why it was refused. `budget` has the figures of a budget's refusal.

    Without a `user_id` nobody knows who asked: such requests are counted and not kept one by one,
    so that a flood of them fills nothing. `count` is then how many there were.
    """

    at: datetime
    outcome: Outcome
    reason: str
    operation: str
    request_id: str = ""
    user_id: int | None = None
    key_id: str = ""
    model: str = ""
    budget: Refusal | None = None
    count: int = 1
