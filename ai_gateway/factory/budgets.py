"""Puts limits and pauses together."""

import redis

from ai_gateway.domain.clock import Clock
from ai_gateway.factory.from_settings import default_limits, registry_of
from ai_gateway.services.audit import Audit
from ai_gateway.services.budget_standings import BudgetStandings
from ai_gateway.services.budget_view import BudgetWindows
from ai_gateway.services.budgets import Budgets
from ai_gateway.services.limit_admin import LimitAdmin
from ai_gateway.services.limit_list import LimitList
from ai_gateway.services.pauses import Pauses, PauseStores
from ai_gateway.settings import Settings
from ai_gateway.stores.budget_accounts import BudgetAccounts
from ai_gateway.stores.limit_rows import LimitRows
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.pauses import PauseActs
from ai_gateway.stores.tables import db
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable


def budgets_of(
    settings: Settings,
    stores: tuple[KeyTable, KeyCopies],
    client: redis.Redis,
    audit: Audit,
    clock: Clock,
) -> Budgets:
    """Each change of theirs is in the audit."""
    table, copies = stores
    counters = LiveCounters(client)
    zone = settings.timezone
    defaults = {(b.scope, b.window): limit for b, limit in default_limits(settings).items()}
    return Budgets(
        limits=LimitAdmin(
            table,
            copies,
            BudgetStandings(BudgetAccounts(db.engine), counters, zone),
            audit=audit,
            clock=clock,
        ),
        lists=LimitList(
            LimitRows(db.engine), counters, windows=BudgetWindows(zone, defaults), clock=clock
        ),
        pauses=Pauses(
            PauseStores(PauseActs(db.engine), table.house_rules, copies.house_rules),
            registry_of(settings).names,
            audit=audit,
            clock=clock,
        ),
    )
