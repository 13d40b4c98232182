"""Limits as tests set them: by nobody in particular, unrecorded where only SQL matters."""

from collections.abc import Mapping

import redis
from sqlalchemy import Engine

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limit_choices import LimitSubject
from ai_gateway.domain.limits import Budget, Limit, Scope
from ai_gateway.services.audit import Audit
from ai_gateway.services.budget_standings import BudgetStandings
from ai_gateway.services.limit_admin import LimitAdmin, LimitOrder, LimitsSet
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.budget_accounts import BudgetAccounts
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.money import UTC_ZONE

Changes = Mapping[Budget, Limit | None]


def choose(table: KeyTable, scope: Scope, subject_id: int, changes: Changes) -> None:
    """Set limits in SQL alone."""
    subject = LimitSubject(scope, subject_id)
    table.limit_acts.change(subject, changes, seen=None, review=lambda _: ())


class LimitOffice:
    """Where limits are set, in SQL and for the workers; `admin` is the service itself."""

    def __init__(
        self, table: KeyTable, engine: Engine, client: "redis.Redis", clock: Clock
    ) -> None:
        standings = BudgetStandings(BudgetAccounts(engine), LiveCounters(client), UTC_ZONE)
        audit = Audit(AuditTable(engine), clock)
        self.admin = LimitAdmin(table, KeyCopies(client), standings, audit=audit, clock=clock)

    def set(self, scope: Scope, subject_id: int, changes: Changes) -> LimitsSet:
        subject = LimitSubject(scope, subject_id)
        return self.admin.change(subject, LimitOrder(COMMAND_LINE, changes))
