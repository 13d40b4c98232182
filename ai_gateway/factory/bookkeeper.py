"""Puts the bookkeeper together; it has a connection to Redis of its own, which may wait longer."""

from dataclasses import replace

import redis

from ai_gateway.domain.audit import BOOKKEEPER
from ai_gateway.domain.clock import Clock
from ai_gateway.factory.alerts import alert_watch
from ai_gateway.factory.from_settings import default_limits, redis_url
from ai_gateway.factory.prices import price_figures, price_records, refresh_watch
from ai_gateway.factory.tasks import make_task_clock
from ai_gateway.factory.tracing import tracing_watch
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.figures import (
    BudgetFigures,
    FigureSource,
    HoldFigures,
    PairFigures,
    ReconcileFigures,
    UserFigures,
)
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.pauses import PauseFigures
from ai_gateway.services.refusal_keeping import RefusalKeeping
from ai_gateway.services.task_report import TaskFigures
from ai_gateway.services.verification import Verification
from ai_gateway.settings import Settings
from ai_gateway.stores import embedded
from ai_gateway.stores.figure_sums import FigureSums
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.open_holds import OpenHolds
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.pauses import PauseActs
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.redis_facts import RedisProbe
from ai_gateway.stores.refusals import RefusalStream, RefusalTable
from ai_gateway.stores.tables import db
from ai_gateway.stores.tasks import TaskTable

REDIS_SECONDS = 5.0


def make_bookkeeper(settings: Settings, keys: KeyAdmin, clock: Clock) -> Bookkeeper:
    client = connect(redis_url(settings), timeout_seconds=REDIS_SECONDS)
    refused = RefusalTable(db.engine, settings.timezone)
    prices = price_records(client)
    stores = BookkeeperStores(
        Outbox(client),
        PublishedState(client),
        Ledger(db.engine, settings.timezone),
        refusals=RefusalKeeping(RefusalStream(client), refused),
        policy=RedisProbe(client).policy,
        figures=figure_sources(settings, client, clock),
        watch_tracing=tracing_watch(settings, client, clock),
        publish_prices=prices.publish,
        refresh_prices=refresh_watch(settings, prices, clock),
        watch_alerts=alert_watch(settings, client, clock),
        tasks=make_task_clock(settings, client, clock, BOOKKEEPER),
    )
    if not settings.redis_url:
        stores = replace(stores, write_to_disk=lambda: embedded.write_to_disk(settings.data_dir))
    return Bookkeeper(stores, keys, clock=clock, zone=settings.timezone)


def figure_sources(
    settings: Settings, client: redis.Redis, clock: Clock
) -> tuple[FigureSource, ...]:
    """What `/metrics` shows of the whole installation, each as often as its reading is cheap."""
    zone = settings.timezone
    sums = FigureSums(db.engine)
    verification = Verification(Ledger(db.engine, zone), Outbox(client), clock=clock, zone=zone)
    budgets = BudgetFigures(
        sums, LiveCounters(client), defaults=default_limits(settings), zone=zone
    )
    return (
        FigureSource("hold_figures", 5, HoldFigures(OpenHolds(client)).read),
        FigureSource("budget_figures", 30, budgets.read),
        FigureSource("pause_figures", 5, PauseFigures(PauseActs(db.engine)).read),
        FigureSource("user_figures", 30, UserFigures(sums, zone).read),
        FigureSource("pair_figures", 60, PairFigures(sums).read),
        FigureSource("reconcile", 60, ReconcileFigures(verification, sums).read),
        price_figures(price_records(client)),
        FigureSource("task_figures", 30, TaskFigures(TaskTable(db.engine)).read),
    )
