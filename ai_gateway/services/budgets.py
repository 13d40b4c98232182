"""What staff decide about spending, in one place: limits, their lists, and pauses."""

from dataclasses import dataclass

from ai_gateway.services.limit_admin import LimitAdmin
from ai_gateway.services.limit_list import LimitList
from ai_gateway.services.pauses import Pauses


@dataclass(frozen=True, slots=True)
class Budgets:
    """For pages, programs and commands alike."""

    limits: LimitAdmin
    lists: LimitList
    pauses: Pauses
