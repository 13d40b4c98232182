"""The composition root: settings -> objects -> the Flask application.

The only place that names concrete parts. It opens no connection: a worker builds its application
after the fork, and every client connects when it is first used.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis
from flask import Flask
from flask_migrate import Migrate

from ai_gateway import cli
from ai_gateway.domain.clock import Clock, system_clock
from ai_gateway.factory.from_settings import (
    catalog_of,
    default_limits,
    redis_url,
    registry_of,
    secrets_of,
)
from ai_gateway.providers.anthropic_dialect import AnthropicDialect
from ai_gateway.providers.azure_dialect import AzureDialect
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.registry import Registry
from ai_gateway.providers.transport import Transport
from ai_gateway.services.admission import Admission, AdmissionRules, KeyRing
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.callers import Callers
from ai_gateway.services.counting import TokenCounter
from ai_gateway.services.dispatch import Dispatch
from ai_gateway.services.free_calls import FreeCalls
from ai_gateway.services.health import Health
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.key_holder import KeyHolder
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.open_calls import OpenCalls
from ai_gateway.services.proxy import Proxy
from ai_gateway.services.recovery import Recovery
from ai_gateway.services.relay import CallEnding, Drains
from ai_gateway.services.reports import Reports
from ai_gateway.services.settlement import Settlement
from ai_gateway.services.sign_in import SignIn
from ai_gateway.services.stored_responses import StoredResponses
from ai_gateway.services.user_admin import UserAdmin
from ai_gateway.services.verification import Verification
from ai_gateway.settings import Settings, read_settings
from ai_gateway.stores import embedded, sql
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.ledger_export import LedgerExport
from ai_gateway.stores.lost_records import LostRecords
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.response_owners import ResponseOwners
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.tables import db
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from ai_gateway.telemetry.logs import CallLog, configure_logging
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.observer import Observers
from ai_gateway.web import api, azure, gateway, probes, unmatched
from ai_gateway.web.admin import site, staff
from ai_gateway.web.context import EXTENSION, Services
from ai_gateway.web.scrape_rule import ScrapeRule

ROOT = Path(__file__).resolve().parents[2]
SHUTDOWN_EXTENSION = "ai_gateway_shutdown"
MAX_FORM_BYTES = 2**20
BOOKKEEPER_REDIS_SECONDS = 5.0


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
    secret_key, pepper = secrets_of(settings)
    app = Flask(
        "ai_gateway",
        root_path=str(ROOT / "ai_gateway"),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "ai_gateway" / "static"),
    )
    app.config.update(SECRET_KEY=secret_key, MAX_CONTENT_LENGTH=MAX_FORM_BYTES)
    _init_database(app, settings)
    providers = registry_of(settings)
    parts = _Parts(clock, pepper, lambda other_clock: create_app(env, clock=other_clock))
    with app.app_context():
        stores = _stores(settings, providers)
        _compose(app, settings, stores=stores, providers=providers, parts=parts)
    app.register_blueprint(gateway.blueprint)
    app.register_blueprint(azure.blueprint)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(probes.blueprint)
    site.init_app(app)
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


def _compose(
    app: Flask, settings: Settings, *, stores: _Stores, providers: Registry, parts: _Parts
) -> None:
    clock, pepper = parts.clock, parts.pepper
    metrics = Metrics(slot=settings.worker_slot or 0)
    observers = Observers((metrics, CallLog()))
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
    settlement = Settlement(stores.meter, models, counter=counter, observers=observers, clock=clock)
    recovery = Recovery(
        stores.meter,
        LostRecords(stores.redis, db.engine),
        settlement.memory,
        settings.timezone,
    )
    open_calls = OpenCalls(stores.meter, admission, settlement, recovery)
    drains = Drains(is_on=settings.on_disconnect == "drain")
    dialects = (OpenAIDialect(), AnthropicDialect(), AzureDialect())
    dispatch = Dispatch(Transport(), {dialect.name: dialect for dialect in dialects})
    callers = Callers(ring, models)
    stored = StoredResponses(ResponseOwners(stores.redis), providers, models)
    key_admin = KeyAdmin(
        stores.keys, stores.copies, pepper=pepper, clock=clock, random_bytes=secrets.token_bytes
    )
    engine = db.engine
    published = PublishedState(stores.redis)
    app.extensions[EXTENSION] = Services(
        proxy=Proxy(
            callers,
            admission,
            dispatch,
            ending=CallEnding(settlement, open_calls, drains, stored),
            observers=observers,
        ),
        free_calls=FreeCalls(callers, dispatch, stored=stored, observers=observers),
        reports=Reports(
            ReportingStore(),
            clock=clock,
            zone=settings.timezone,
            defaults={(b.scope, b.window): limit for b, limit in default_limits(settings).items()},
        ),
        sign_in=SignIn(StaffSessions(), clock),
        key_holder=KeyHolder(ring, meter=stores.meter, table=stores.keys, clock=clock),
        key_admin=key_admin,
        health=Health(
            stores.meter,
            published,
            metrics=metrics,
            is_sql_up=lambda: sql.is_up(engine),
            clock=clock,
        ),
        scrape_rule=ScrapeRule(
            settings.metrics_allow,
            settings.metrics_token.value if settings.metrics_token else None,
        ),
        clock=clock,
        zone=settings.timezone,
        is_simulated=settings.simulator_active,
        is_demo=settings.demo,
    )
    app.extensions[SHUTDOWN_EXTENSION] = open_calls.end_all
    cli.init_app(
        app,
        cli.Commands(
            users=UserAdmin(UserTable(engine), clock),
            keys=key_admin,
            key_table=stores.keys,
            make_app=parts.make_app,
            verification=Verification(
                Ledger(engine, settings.timezone),
                Outbox(stores.redis),
                clock=clock,
                zone=settings.timezone,
            ),
            export=LedgerExport(engine),
            make_bookkeeper=lambda: _bookkeeper(settings, key_admin, clock),
            timezone=settings.timezone,
            clock=clock,
        ),
    )


def _bookkeeper(settings: Settings, keys: KeyAdmin, clock: Clock) -> Bookkeeper:
    client = connect(redis_url(settings), timeout_seconds=BOOKKEEPER_REDIS_SECONDS)
    stores = BookkeeperStores(
        Outbox(client), PublishedState(client), Ledger(db.engine, settings.timezone)
    )
    return Bookkeeper(stores, keys, clock=clock, zone=settings.timezone)


def _stores(settings: Settings, providers: Registry) -> _Stores:
    client = connect(redis_url(settings))
    return _Stores(
        redis=client,
        meter=Meter(client),
        keys=KeyTable(db.engine, default_limits(settings)),
        copies=KeyCopies(client),
        catalog=catalog_of(settings, providers),
    )


def _init_database(app: Flask, settings: Settings) -> None:
    url = sql.driver_url(settings.database_url or embedded.database_url(settings.data_dir))
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = sql.engine_options(url)
    db.init_app(app)
    Migrate(app, db, directory=str(ROOT / "migrations"))  # type: ignore[no-untyped-call]  # likewise
    is_worker = settings.worker_slot is not None
    busy_ms = sql.WORKER_BUSY_MS if is_worker else sql.BOOKKEEPER_BUSY_MS
    with app.app_context():
        sql.configure(db.engine, busy_ms=busy_ms)
