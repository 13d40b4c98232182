"""Puts the tasks on a clock together, for the bookkeeper and for the command."""

from collections.abc import Mapping

import redis

from ai_gateway.domain.audit import Actor
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.tasks import TASKS, TaskName
from ai_gateway.services import housekeeping
from ai_gateway.services.audit import Audit
from ai_gateway.services.housekeeping import CountersWork, RowsWork, Work
from ai_gateway.services.ledger_archiving import ArchiveRule, LedgerArchiving, audit_line
from ai_gateway.services.sign_in import IDLE_TIME, LIFE_TIME
from ai_gateway.services.task_clock import TaskClock
from ai_gateway.settings import Settings
from ai_gateway.stores import old_rows
from ai_gateway.stores.archive_files import ArchiveFiles
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.counter_keys import CounterKeys
from ai_gateway.stores.ledger_archive import LedgerArchive
from ai_gateway.stores.tables import db
from ai_gateway.stores.tasks import TaskTable


def make_task_clock(
    settings: Settings, client: redis.Redis, clock: Clock, actor: Actor
) -> TaskClock:
    """`actor` is who does them, for the audit."""
    works = _works(settings, client, clock, actor)
    return TaskClock(
        {task: works[task.name] for task in TASKS},
        TaskTable(db.engine),
        clock=clock,
        zone=settings.timezone,
    )


def _works(
    settings: Settings, client: redis.Redis, clock: Clock, actor: Actor
) -> Mapping[TaskName, Work]:
    engine = db.engine
    sessions = old_rows.ended_sessions(engine, idle=IDLE_TIME, life=LIFE_TIME)
    refusals = old_rows.old_refusals(engine, kept=housekeeping.REFUSALS_KEPT)
    orders = old_rows.old_key_orders(engine, kept=housekeeping.KEY_ORDERS_KEPT)
    deliveries = old_rows.OldDeliveries(engine, kept=housekeeping.DELIVERIES_KEPT)
    alerts = old_rows.old_alerts(engine, kept=housekeeping.ALERTS_KEPT)
    return {
        TaskName.STAFF_SESSIONS: RowsWork(sessions, "Sessions", clock),
        TaskName.REFUSALS: RowsWork(refusals, "Refused requests", clock),
        TaskName.KEY_ORDERS: RowsWork(orders, "Orders", clock),
        TaskName.ALERT_DELIVERIES: RowsWork(deliveries, "Deliveries", clock),
        TaskName.ALERTS: RowsWork(alerts, "Alerts", clock),
        TaskName.COUNTERS: CountersWork(CounterKeys(client), clock, settings.timezone),
        TaskName.LEDGER_ARCHIVE: LedgerArchiving(
            LedgerArchive(engine),
            ArchiveFiles(settings.ledger.archive_dir),
            rule=ArchiveRule(settings.ledger.keep_days, settings.timezone),
            entry_of=audit_line(Audit(AuditTable(engine), clock), actor),
            clock=clock,
        ),
    }
