"""The composition root: settings -> objects -> the Flask application.

The only place that names concrete parts. It opens no connection: a worker builds its application
after the fork, and every client connects when it is first used.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
from flask import Flask

from ai_gateway import cli
from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.call import DialectName
from ai_gateway.domain.clock import Clock, system_clock
from ai_gateway.factory.acting import KeyStores, acting_services
from ai_gateway.factory.bookkeeper import make_bookkeeper
from ai_gateway.factory.database import init_database
from ai_gateway.factory.from_settings import (
    catalog_of,
    default_limits,
    provider_keys_of,
    redis_url,
    registry_of,
    secrets_of,
    workers_of,
)
from ai_gateway.factory.prices import PriceParts, prices_of
from ai_gateway.factory.reading import reading_services
from ai_gateway.factory.set_up import MIGRATIONS, checklist_of
from ai_gateway.factory.tasks import make_task_clock
from ai_gateway.factory.telemetry import metrics_of
from ai_gateway.factory.tracing import tracing_of
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.azure_dialect import AzureDialect
from ai_gateway.providers.dialect import Dialect
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.registry import Registry
from ai_gateway.providers.transport import Transport
from ai_gateway.services.admission import Admission, AdmissionRules
from ai_gateway.services.callers import Callers
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.dispatch import Dispatch
from ai_gateway.services.free_calls import FreeCalls
from ai_gateway.services.health import Health
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.key_ring import KeyRing
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.open_calls import OpenCalls
from ai_gateway.services.proxy import Proxy
from ai_gateway.services.recovery import Recovery
from ai_gateway.services.relay import CallEnding, Drains
from ai_gateway.services.settlement import Settlement
from ai_gateway.services.stored_responses import StoredResponses
from ai_gateway.services.trial_call import TrialCalls, TrialMarks
from ai_gateway.services.verification import Verification
from ai_gateway.settings import Settings, read_settings
from ai_gateway.stores import sql
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.database_copy import DatabaseCopy
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.ledger_export import LedgerExport
from ai_gateway.stores.lost_records import LostRecords
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.once import Once
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.refusals import RefusalStream
from ai_gateway.stores.response_owners import ResponseOwners
from ai_gateway.stores.tables import db
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from ai_gateway.telemetry.logs import CallLog, configure_logging
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.observer import Observers, harmless
from ai_gateway.telemetry.refusals import RefusalLog
from ai_gateway.web import api, azure, gateway, pages, probes, unmatched
from ai_gateway.web.admin import staff
from ai_gateway.web.client_address import ClientAddresses
from ai_gateway.web.context import EXTENSION, Instance, Services
from ai_gateway.web.scrape_rule import ScrapeRule

ROOT = Path(__file__).resolve().parents[2]
START_EXTENSION = "ai_gateway_start"
SHUTDOWN_EXTENSION = "ai_gateway_shutdown"
MAX_FORM_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Stores:
    """Everything that holds state."""

    redis: redis.Redis
    meter: Meter
    keys: KeyTable
    copies: KeyCopies
    catalog: Catalog


def create_app(env: Mapping[str, str] | None = None, *, clock: Clock = system_clock) -> Flask:
    """Build the application; raises `SettingsError` with one clear line."""
    env = os.environ if env is None else env
    settings = read_settings(env)
    configure_logging(settings.log_level, settings.log_format)
    signing, pepper = secrets_of(settings)
    app = Flask(
        "ai_gateway",
        root_path=str(ROOT / "ai_gateway"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "ai_gateway" / "static"),
    )
    app.config.update(signing, MAX_CONTENT_LENGTH=MAX_FORM_BYTES)
    init_database(app, settings, migrations=MIGRATIONS)
    providers = registry_of(settings)
    metrics = metrics_of(settings)
    parts = _Parts(clock, pepper, lambda other_clock: create_app(env, clock=other_clock), metrics)
    with app.app_context():
        stores = _stores(settings, providers, metrics)
        _compose(app, settings, stores=stores, providers=providers, parts=parts)
    app.register_blueprint(gateway.blueprint)
    app.register_blueprint(azure.blueprint)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(probes.blueprint)
    pages.init_app(app)
    unmatched.init_app(app)
    for blueprint in (gateway.blueprint, azure.blueprint, api.blueprint, probes.blueprint):
        # A key authenticates them, or they change nothing.
        staff.csrf.exempt(blueprint)  # type: ignore[no-untyped-call]  # ships no types
    return app


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is neither a setting nor a store."""

    clock: Clock
    pepper: bytes
    make_app: Callable[[Clock], Flask]
    metrics: Metrics


def _compose(
    app: Flask, settings: Settings, *, stores: _Stores, providers: Registry, parts: _Parts
) -> None:
    clock, pepper = parts.clock, parts.pepper
    metrics = parts.metrics
    refusals = RefusalLog(RefusalStream(stores.redis).write, clock, metrics.workers.refusals_lost)
    tracing = tracing_of(settings, stores.redis, metrics.export, clock)
    observers = Observers((metrics, CallLog(), refusals, *tracing.observers))
    models = ModelDirectory(providers, stores.catalog, settings.aliases, settings.azure_deployments)
    counter = TokenCounter()
    ring = KeyRing(stores.copies, stores.meter, pepper, clock)
    admission = Admission(
        ring,
        models,
        meter=stores.meter,
        counter=counter,
        rules=AdmissionRules(
            settings.timezone, settings.uncapped_output_tokens, settings.cost_tracking_enabled
        ),
    )
    settlement = Settlement(stores.meter, counter=counter, observers=observers, clock=clock)
    records = LostRecords(stores.redis, db.engine)
    recovery = Recovery(stores.meter, records, settlement.memory, settings.timezone)
    open_calls = OpenCalls(stores.meter, admission, settlement, recovery)
    open_calls.watch(metrics.workers.running)
    drains = Drains(is_on=settings.on_disconnect == "drain")
    dialects = (OpenAIDialect(), AnthropicDialect(), AzureDialect())
    by_name: dict[DialectName, Dialect] = {dialect.name: dialect for dialect in dialects}
    dispatch = Dispatch(Transport(), by_name)
    callers = Callers(ring, models)
    stored = StoredResponses(ResponseOwners(stores.redis), providers, models)
    key_holder = KeyHolder(ring, meter=stores.meter, table=stores.keys, clock=clock)
    engine = db.engine
    key_stores = KeyStores(stores.keys, stores.copies, pepper)
    acting = acting_services(settings, key_stores, stores.redis, clock)
    told = metrics.workers.config_reloaded
    prices = prices_of(settings, PriceParts(models, stores.redis, acting.audit, told), clock)
    open_calls.also(prices.live.look)
    open_calls.also(provider_keys_of(settings, providers).look)
    published = PublishedState(stores.redis)
    reading = reading_services(settings, key_holder, stores.redis, lambda: models.price_book, clock)
    proxy = Proxy(
        callers,
        admission,
        dispatch,
        ending=CallEnding(settlement, open_calls, drains, stored, transcript=tracing.transcript),
        observers=observers,
    )
    checklist = checklist_of(settings, providers, stores.redis, tracing.health, clock)
    marks = TrialMarks(Once(stores.redis), acting.audit, clock)
    app.extensions[EXTENSION] = Services(
        proxy=proxy,
        free_calls=FreeCalls(callers, dispatch, stored=stored, observers=observers),
        reports=reading.reports,
        usage=reading.usage,
        spend_list=reading.spend_list,
        user_walk=reading.user_walk,
        user_details=reading.user_details,
        spend_reset=acting.spend_reset,
        sign_in=acting.sign_in,
        own_password=acting.own_password,
        own_pages=reading.own_pages,
        user_admin=acting.user_admin,
        budgets=acting.budgets,
        key_holder=key_holder,
        key_admin=acting.key_admin,
        key_list=reading.key_list,
        analytics=reading.analytics,
        api_callers=reading.api_callers,
        audit_report=reading.audit_report,
        requests=reading.requests,
        system=reading.system,
        parts_health=reading.parts_health,
        tasks=reading.tasks,
        tracing_health=tracing.health,
        health=tracing.shown_in(
            Health(
                stores.meter,
                published,
                metrics=metrics,
                is_sql_up=lambda: sql.is_up(engine),
                clock=clock,
            )
        ),
        prices=prices,
        scrape_rule=ScrapeRule(
            settings.metrics_allow,
            settings.metrics_token.value if settings.metrics_token else None,
        ),
        audit=acting.audit,
        alerts=acting.alerts,
        checklist=checklist,
        trial_calls=TrialCalls(proxy.call, models, acting.key_admin, dialects=by_name, marks=marks),
        client_addresses=ClientAddresses(settings.trusted_proxies),
        clock=clock,
        zone=settings.timezone,
        instance=Instance(clock(), workers_of(settings), engine.dialect.name),
        cors_origins=frozenset(settings.cors_origins),
        is_simulated=settings.simulator_active,
        is_demo=settings.demo,
    )
    app.extensions[START_EXTENSION] = _in_turn(prices.live.start, open_calls.start)
    app.extensions[SHUTDOWN_EXTENSION] = _in_turn(
        metrics.dependencies.draining, open_calls.end_all, refusals.stop, tracing.stop
    )
    cli.init_app(
        app,
        cli.Commands(
            users=acting.user_admin,
            budgets=acting.budgets,
            audit=acting.audit,
            audit_report=reading.audit_report,
            alerts=acting.alerts,
            prices=prices,
            keys=acting.key_admin,
            key_list=reading.key_list,
            key_table=stores.keys,
            make_app=parts.make_app,
            verification=Verification(
                Ledger(engine, settings.timezone),
                Outbox(stores.redis),
                clock=clock,
                zone=settings.timezone,
            ),
            export=LedgerExport(engine),
            database_copy=DatabaseCopy(engine),
            explanations=reading.requests.explanations,
            checklist=checklist,
            make_bookkeeper=lambda: make_bookkeeper(settings, acting.key_admin, clock),
            make_task_clock=lambda: make_task_clock(settings, stores.redis, clock, COMMAND_LINE),
            task_report=reading.tasks,
            timezone=settings.timezone,
            clock=clock,
            is_simulated=settings.simulator_active,
        ),
    )


def _in_turn(*steps: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for step in steps:
            step()

    return run


def _stores(settings: Settings, providers: Registry, metrics: Metrics) -> _Stores:
    client = connect(redis_url(settings))
    sql.watch(db.engine, harmless(metrics.dependencies.sql))
    told = harmless(metrics.dependencies.redis)
    return _Stores(
        redis=client,
        meter=Meter(client, told=told),
        keys=KeyTable(db.engine, default_limits(settings)),
        copies=KeyCopies(client, told=told),
        catalog=catalog_of(settings, providers),
    )
