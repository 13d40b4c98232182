"""What the home page and the overview read beside the roll-ups."""

from dataclasses import dataclass

from sqlalchemy import select

from ai_gateway.domain.virtual_key import KeyStatus
from ai_gateway.stores.budget_use import BudgetUseStore
from ai_gateway.stores.recent_calls import RecentCalls
from ai_gateway.stores.recent_refusals import RecentRefusals
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.system_sums import SystemSums
from ai_gateway.stores.tables import User, VirtualKey, db
from ai_gateway.stores.top_users import TopUsers


@dataclass(frozen=True, slots=True)
class SetUpFacts:
    """Whether the first steps of an installation were done; a revoked key does not count."""

    has_staff: bool
    has_key: bool
    has_call: bool


class ReportingStore:
    """Reads only; each part is about one thing."""

    def __init__(self) -> None:
        self.budgets = BudgetUseStore()
        self.top_users = TopUsers()
        self.calls = RecentCalls()
        self.refusals = RecentRefusals()
        self.system = SystemSums()

    @translated_errors()
    def set_up_facts(self) -> SetUpFacts:
        query = select(
            select(User.id).where(User.role != "none").exists(),
            select(VirtualKey.id).where(VirtualKey.status == KeyStatus.ACTIVE).exists(),
            select(UsageHour.hour).exists(),
        )
        has_staff, has_key, has_call = db.session.execute(query).one()
        return SetUpFacts(bool(has_staff), bool(has_key), bool(has_call))
