"""An application with the staff pages alone, with a settable clock."""

from collections.abc import Callable, Iterator
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
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from werkzeug.serving import make_server

from ai_gateway.domain.exchange import Answer, IncomingCall
from ai_gateway.domain.limits import (
    INSTALLATION_ID,
    Account,
    Scope,
    Window,
    account_from_name,
    window_id,
)
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.errors import UpstreamUnavailable
from ai_gateway.providers.openai_dialect import OpenAIDialect
from ai_gateway.providers.provider import Provider
from ai_gateway.providers.registry import Registry
from ai_gateway.services.audit import Audit
from ai_gateway.services.budget_view import BudgetWindows
from ai_gateway.services.checklist import Checklist, SetUpChoices, SetUpSources
from ai_gateway.services.health import LiveState
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.live_budgets import LiveBudgets
from ai_gateway.services.models import ModelDirectory
from ai_gateway.services.own_password import OwnPassword
from ai_gateway.services.parts_health import PartsHealthReport
from ai_gateway.services.reports import Reports
from ai_gateway.services.sign_in import SignIn
from ai_gateway.services.spend_list_report import SpendListReport
from ai_gateway.services.spend_reset import SpendReset
from ai_gateway.services.system_report import SystemReports
from ai_gateway.services.tracing_health import TRACING_OFF, TracingHealth
from ai_gateway.services.trial_call import TrialCalls, TrialMarks
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.services.user_admin import UserAdmin
from ai_gateway.services.user_detail import UserDetails
from ai_gateway.stores import redis_keys
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches
from ai_gateway.stores.catalog import Catalog
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.log_in_limits import LogInLimits
from ai_gateway.stores.once import Once
from ai_gateway.stores.outbox import PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.redis_facts import RedisProbe
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.reset_records import ResetRecords
from ai_gateway.stores.resets import SpendResets
from ai_gateway.stores.sql import WORKER_BUSY_MS, configure
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.system_sums import SystemSums
from ai_gateway.stores.tables import AccountTotal, db
from ai_gateway.stores.top_users import TopUsers
from ai_gateway.stores.usage_sums import UsageSumsStore
from ai_gateway.stores.users import UserTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from ai_gateway.web import unmatched
from ai_gateway.web.admin import site
from ai_gateway.web.client_address import ClientAddresses
from ai_gateway.web.context import EXTENSION, Instance
from tests.domain.facts import flat_rates
from tests.seeding import DEFAULTS, NOW, PASSWORD, UTC_ZONE

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
    spend_reset: SpendReset
    sign_in: SignIn
    audit: Audit
    checklist: Checklist
    trial_calls: TrialCalls
    system: SystemReports
    parts_health: PartsHealthReport
    own_password: OwnPassword
    user_admin: UserAdmin
    client_addresses: ClientAddresses = field(default_factory=ClientAddresses)
    zone: ZoneInfo = UTC_ZONE
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
        zone=zone,
    )
    app.extensions[EXTENSION] = services
    site.init_app(app)
    unmatched.init_app(app)
    return StaffApp(app, clock, services, engine)


def publish_counters(redis_url: str, engine: Engine, now: datetime = NOW) -> None:
    """Empty a Redis and write the counters as the database has them, marks of refusals too."""
    windows = [window_id(window, now, UTC_ZONE) for window in Window]
    later = datetime.now(UTC) + timedelta(days=1)
    spent = Ledger(engine, UTC_ZONE).spent(windows)
    with connect(redis_url, timeout_seconds=60) as client, Session(engine) as session:
        client.flushall()
        counters = ((account, nano, later) for account, nano in spent)
        assert PublishedState(client).restore(counters, "epoch")
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
    return {
        "spend_list": spend_list,
        "system": SystemReports(usage, SystemSums(), zone),
        "parts_health": PartsHealthReport(
            RedisProbe(redis), SystemSums(), price_book=lambda: "test", clock=clock, zone=zone
        ),
        "user_details": UserDetails(spend_list, usage),
        "spend_reset": SpendReset(
            SpendResets(redis),
            ResetRecords(engine),
            audit=Audit(AuditTable(engine), clock),
            clock=clock,
            zone=zone,
        ),
    }


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


def csrf_token(client: FlaskClient) -> str:
    """The token that the log-in page put into the session of this client."""
    page = client.get("/login").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def log_in(client: FlaskClient, username: str, password: str = PASSWORD) -> None:
    form = {"username": username, "password": password, "csrf_token": csrf_token(client)}
    assert client.post("/login", data=form).status_code == 303


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """Serve on a free port of loopback; gives the address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
