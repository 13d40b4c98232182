"""An application with the staff pages alone, with a settable clock."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from os import urandom
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from flask.testing import FlaskClient
from gevent import get_hub
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.limits import (
    INSTALLATION_ID,
    Account,
    Budget,
    Scope,
    Window,
    account_from_name,
    window_id,
)
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.errors import UpstreamUnavailable
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry, simulated
from ai_gateway.services.alert_admin import AlertAdmin
from ai_gateway.services.audit import Audit
from ai_gateway.services.audit_report import AuditReport
from ai_gateway.services.budget_standings import BudgetStandings
from ai_gateway.services.budget_view import BudgetWindows
from ai_gateway.services.budgets import Budgets
from ai_gateway.services.checklist import Checklist, SetUpChoices, SetUpSources
from ai_gateway.services.explanation import Explanations
from ai_gateway.services.health import LiveState
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.key_list import KeyList
from ai_gateway.services.limit_admin import LimitAdmin
from ai_gateway.services.limit_list import LimitList
from ai_gateway.services.live_budgets import LiveBudgets
from ai_gateway.services.live_keys import LiveKeys
from ai_gateway.services.live_prices import LivePrices
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.own_page import OwnPages
from ai_gateway.services.own_password import OwnPassword
from ai_gateway.services.parts_health import PartsHealthReport
from ai_gateway.services.pauses import Pauses, PauseStores
from ai_gateway.services.price_admin import PriceAdmin
from ai_gateway.services.price_book import PriceBooks, PriceRecords
from ai_gateway.services.price_calculator import PriceCalculator
from ai_gateway.services.price_table import PriceTable
from ai_gateway.services.prices import Prices
from ai_gateway.services.reports import Reports
from ai_gateway.services.request_list import RequestList
from ai_gateway.services.requests import Requests
from ai_gateway.services.sign_in import SignIn
from ai_gateway.services.spend_list_report import SpendListReport
from ai_gateway.services.spend_reset import SpendReset
from ai_gateway.services.system_report import SystemReports
from ai_gateway.services.task_report import TaskReport
from ai_gateway.services.tracing_health import TRACING_OFF, TracingHealth
from ai_gateway.services.trial_call import TrialCalls, TrialMarks
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.services.user_admin import UserAdmin
from ai_gateway.services.user_detail import UserDetails
from ai_gateway.stores import redis_keys
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.audit_log import AuditLog
from ai_gateway.stores.budget_accounts import BudgetAccounts
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches
from ai_gateway.stores.catalog import Catalog, Source
from ai_gateway.stores.key_rows import KeyRows
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.limit_rows import LimitRows
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.log_in_limits import LogInLimits
from ai_gateway.stores.once import Once
from ai_gateway.stores.own_refusals import OwnRefusals
from ai_gateway.stores.pauses import PauseActs
from ai_gateway.stores.price_entries import PriceEntryTable
from ai_gateway.stores.price_lists import PriceListTable
from ai_gateway.stores.price_use import PriceUse
from ai_gateway.stores.published_prices import PublishedPrices
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.redis_facts import RedisProbe
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.reset_records import ResetRecords
from ai_gateway.stores.resets import SpendResets
from ai_gateway.stores.sql import WORKER_BUSY_MS, configure
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.system_sums import SystemSums
from ai_gateway.stores.tables import AccountTotal, db
from ai_gateway.stores.tasks import TaskTable
from ai_gateway.stores.top_users import TopUsers
from ai_gateway.stores.usage_sums import UsageSumsStore
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from ai_gateway.web import pages, unmatched
from ai_gateway.web.client_address import ClientAddresses
from ai_gateway.web.context import EXTENSION, Instance
from tests.alerts import admin_of
from tests.domain.facts import flat_rates
from tests.seeding import DEFAULTS, NOW, PASSWORD, UTC_ZONE
from tests.templates import COMPILED_TEMPLATES
from tests.trusting import trust

NO_REDIS = "redis://127.0.0.1:1"
"""The staff pages live without it: keys are published later, failed log-ins are counted here."""

PROJECT = Path(__file__).parents[2]


@dataclass
class SetClock:
    """The present moment, as a test wants it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class SetHealth:
    """What Redis and the bookkeeper say, as a test wants it; the staff pages need neither."""

    state: LiveState = field(default_factory=LiveState)

    def live_state(self) -> LiveState:
        return self.state


INSTANCE = Instance(NOW - timedelta(hours=3), 2, "sqlite")


@dataclass
class StaffServices:
    """The part of `Services` that the staff pages use."""

    reports: Reports
    usage: UsageReports
    spend_list: SpendListReport
    user_details: UserDetails
    own_pages: OwnPages
    spend_reset: SpendReset
    sign_in: SignIn
    audit: Audit
    audit_report: AuditReport
    requests: Requests
    checklist: Checklist
    trial_calls: TrialCalls
    system: SystemReports
    parts_health: PartsHealthReport
    tasks: TaskReport
    own_password: OwnPassword
    user_admin: UserAdmin
    key_admin: KeyAdmin
    key_list: KeyList
    prices: Prices
    alerts: AlertAdmin
    budgets: Budgets
    client_addresses: ClientAddresses = field(default_factory=ClientAddresses)
    zone: ZoneInfo = UTC_ZONE
    clock: SetClock = field(default_factory=SetClock)
    instance: Instance = INSTANCE
    tracing_health: Callable[[], TracingHealth] = lambda: TRACING_OFF
    health: SetHealth = field(default_factory=SetHealth)
    is_simulated: bool = False
    is_demo: bool = False


@dataclass
class StaffApp:
    """The application with what a test wants to turn."""

    app: Flask
    clock: SetClock
    services: StaffServices
    engine: Engine
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()


def build(url: str, zone: ZoneInfo = UTC_ZONE, redis_url: str = NO_REDIS) -> StaffApp:
    """On a database whose tables are there. Seed it outside this application's own context.

    Inside it, all requests would share one `g`, and with it the user of the first. The counters of
    a Redis are shown once `publish_counters` has told it of the seeds.
    """
    app = Flask(
        "ai_gateway",
        template_folder=str(PROJECT / "templates"),
        static_folder=str(PROJECT / "ai_gateway" / "static"),
        static_url_path="/static",
    )
    app.config.update(
        SECRET_KEY="a secret of the tests",
        SQLALCHEMY_DATABASE_URI=url,
        # As in production: an error becomes a page, not an exception in the test.
        PROPAGATE_EXCEPTIONS=False,
    )
    db.init_app(app)
    clock = SetClock()
    with app.app_context():
        engine = db.engine
        configure(engine, busy_ms=WORKER_BUSY_MS)
    usage = UsageReports(UsageSumsStore(), TopUsers(), clock=clock, zone=zone)
    services = StaffServices(
        Reports(ReportingStore(), usage, clock=clock, zone=zone, defaults=DEFAULTS),
        usage,
        **_account_services(engine, clock),
        **_spend_services(engine, clock, zone, redis_url),
        **_set_up_services(engine, clock, redis_url),
        **_key_services(engine, clock, zone, redis_url),
        prices=_prices(engine, clock, redis_url),
        budgets=_budgets(engine, clock, zone, redis_url),
        tasks=TaskReport(TaskTable(engine), clock),
        alerts=admin_of(engine, clock),
        audit_report=AuditReport(AuditLog(engine), clock=clock, zone=zone),
        requests=Requests(
            RequestList(usage, clock=clock, zone=zone), Explanations(lambda: "test", clock, zone)
        ),
        zone=zone,
        clock=clock,
    )
    app.extensions[EXTENSION] = services
    pages.init_app(app)
    unmatched.init_app(app)
    app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
    return StaffApp(app, clock, services, engine)


def publish_counters(redis_url: str, engine: Engine, now: datetime = NOW) -> None:
    """Empty a Redis and write the counters as the database has them, marks of refusals too."""
    windows = [window_id(window, now, UTC_ZONE) for window in Window]
    later = datetime.now(UTC) + timedelta(days=1)
    spent = Ledger(engine, UTC_ZONE).totals.spent(windows)
    with connect(redis_url, timeout_seconds=60) as client, Session(engine) as session:
        client.flushall()
        counters = ((account, nano, later) for account, nano in spent)
        assert trust(client, counters)
        for row in session.scalars(select(AccountTotal).where(AccountTotal.is_refused)):
            name = redis_keys.account(
                account_from_name(f"{row.scope}:{row.subject_id}:{row.window_id}")
            )
            client.hset(name, "refused", "1")
            client.sadd(redis_keys.REFUSED, name)


def _spend_services(
    engine: Engine, clock: SetClock, zone: ZoneInfo, redis_url: str
) -> dict[str, Any]:
    redis = connect(redis_url)
    spend_list = SpendListReport(
        BudgetUseStore(),
        UserBatches(engine),
        windows=BudgetWindows(zone, DEFAULTS),
        live=LiveBudgets(LiveCounters(redis)),
        clock=clock,
    )
    usage = UsageReports(UsageSumsStore(), TopUsers(), clock=clock, zone=zone)
    details = UserDetails(spend_list, usage, _key_list(engine, clock, zone, redis_url))
    return {
        "spend_list": spend_list,
        "system": SystemReports(usage, SystemSums(), zone),
        "parts_health": PartsHealthReport(
            RedisProbe(redis), SystemSums(), price_book=lambda: "test", clock=clock, zone=zone
        ),
        "user_details": details,
        "own_pages": OwnPages(details, OwnRefusals(engine)),
        "spend_reset": SpendReset(
            SpendResets(redis),
            ResetRecords(engine),
            audit=Audit(AuditTable(engine), clock),
            clock=clock,
            zone=zone,
        ),
    }


def _budgets(engine: Engine, clock: SetClock, zone: ZoneInfo, redis_url: str) -> Budgets:
    """Of the providers that the seeds name."""
    redis = connect(redis_url)
    audit, counters = Audit(AuditTable(engine), clock), LiveCounters(redis)
    table = KeyTable(engine, {Budget(*names): limit for names, limit in DEFAULTS.items()})
    copies = KeyCopies(redis)
    stores = PauseStores(PauseActs(engine), table.house_rules, copies.house_rules)
    standings = BudgetStandings(BudgetAccounts(engine), counters, zone)
    return Budgets(
        limits=LimitAdmin(table, copies, standings, audit=audit, clock=clock),
        lists=LimitList(
            LimitRows(engine), counters, windows=BudgetWindows(zone, DEFAULTS), clock=clock
        ),
        pauses=Pauses(stores, ("openai", "anthropic", "groq"), audit=audit, clock=clock),
    )


def _prices(engine: Engine, clock: SetClock, redis_url: str) -> Prices:
    """Of the providers that the seeds name, with the list of the release."""
    redis = connect(redis_url)
    names = ("openai", "anthropic", "groq")
    registry = Registry(simulated("http://127.0.0.1:1").get(name) or LAB for name in names)
    sources = {name: Source(row.price_ids, row.name) for name, row in registry.vendors.items()}
    models = ModelDirectory(registry, Catalog(sources), {"fast": "openai/gpt-4o-mini"})
    records = PriceRecords(PriceEntryTable(engine), PriceListTable(engine), PublishedPrices(redis))
    books = PriceBooks(records, models)
    return Prices(
        table=PriceTable(books, records.lists, PriceUse(), clock),
        admin=PriceAdmin(records, books, audit=Audit(AuditTable(engine), clock), clock=clock),
        calculator=PriceCalculator(books, clock),
        live=LivePrices(PublishedPrices(redis), models),
        refresh=None,
    )


PRICED = PriceRow(
    "test/lab/our-model", "lab", "our-model", (Tier(-1, flat_rates(100_000, 400_000)),)
)
INSTALLATION = Account(
    Scope.INSTALLATION, INSTALLATION_ID, Window.MONTH, window_id(Window.MONTH, NOW, UTC_ZONE)
)
LAB = Provider("lab", "openai", "http://lab.test/v1", "sk-lab-secret")


def _set_up_services(engine: Engine, clock: SetClock, redis_url: str) -> dict[str, Any]:
    """The checklist, and test calls that nobody answers."""
    redis = connect(redis_url)
    registry = Registry([LAB])
    keys = KeyAdmin(
        KeyTable(engine, {}), KeyCopies(redis), pepper=b"pepper", clock=clock, random_bytes=urandom
    )
    return {
        "checklist": Checklist(
            SetUpSources(
                is_migrated=lambda: True,
                steps=ReportingStore().set_up_facts,
                redis=lambda: RedisProbe(redis).facts(INSTALLATION),
                tracing=lambda: TRACING_OFF,
            ),
            SetUpChoices(registry.names),
        ),
        "trial_calls": TrialCalls(
            _no_answer,
            ModelDirectory(registry, Catalog({}, [PRICED])),
            keys,
            dialects={"openai": OpenAIDialect()},
            marks=TrialMarks(Once(redis), Audit(AuditTable(engine), clock), clock),
        ),
    }


def _no_answer(_incoming: IncomingCall) -> Answer:
    raise UpstreamUnavailable("lab", was_sent=False)


def _account_services(engine: Engine, clock: SetClock) -> dict[str, Any]:
    redis = connect(NO_REDIS)
    audit = Audit(AuditTable(engine), clock)
    users = UserTable(engine)
    keys = KeyAdmin(
        KeyTable(engine, {}), KeyCopies(redis), pepper=b"pepper", clock=clock, random_bytes=urandom
    )
    sign_in = SignIn(StaffSessions(), LogInLimits(redis), audit, clock)
    return {
        "audit": audit,
        "sign_in": sign_in,
        "own_password": OwnPassword(users, sign_in, audit),
        "user_admin": UserAdmin(users, keys, audit, clock),
    }


def _key_services(
    engine: Engine, clock: SetClock, zone: ZoneInfo, redis_url: str
) -> dict[str, Any]:
    redis = connect(redis_url)
    limits = {Budget(scope, window): limit for (scope, window), limit in DEFAULTS.items()}
    return {
        "key_admin": KeyAdmin(
            KeyTable(engine, limits),
            KeyCopies(redis),
            pepper=b"pepper",
            clock=clock,
            random_bytes=urandom,
        ),
        "key_list": _key_list(engine, clock, zone, redis_url),
    }


def _key_list(engine: Engine, clock: SetClock, zone: ZoneInfo, redis_url: str) -> KeyList:
    live = LiveKeys(LiveCounters(connect(redis_url)))
    windows = BudgetWindows(zone, DEFAULTS)
    return KeyList(KeyRows(engine), live, windows=windows, clock=clock)


def csrf_token(client: FlaskClient) -> str:
    """The token that the log-in page put into the session of this client."""
    page = client.get("/login").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def log_in(client: FlaskClient, username: str, password: str = PASSWORD) -> None:
    form = {"username": username, "password": password, "csrf_token": csrf_token(client)}
    assert client.post("/login", data=form).status_code == 303


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve on a free port of loopback, one request after another; gives the address.

    Werkzeug's server will not do: it leaves a file open when a browser turns away from it.
    """
    started: Future[tuple[str, Callable[[], None]]] = Future()
    thread = Thread(target=_serve, args=(app, started))
    thread.start()
    address, stop = started.result()
    try:
        yield address
    finally:
        stop()
        thread.join()


def _serve(app: Flask, started: Future[tuple[str, Callable[[], None]]]) -> None:
    over = Event()
    hub = get_hub()
    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.start()
    started.set_result(
        (
            f"http://127.0.0.1:{server.server_port}",
            lambda: hub.loop.run_callback_threadsafe(over.set),
        )
    )
    over.wait()
    server.stop(timeout=1)
    hub.destroy(destroy_loop=True)
