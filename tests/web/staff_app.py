"""An application with the staff pages alone, with a settable clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Thread
from zoneinfo import ZoneInfo

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.serving import make_server

from ai_gateway.services.reports import Reports
from ai_gateway.services.sign_in import SignIn
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.sql import WORKER_BUSY_MS, configure
from ai_gateway.stores.staff_sessions import StaffSessions
from ai_gateway.stores.tables import db
from ai_gateway.web import unmatched
from ai_gateway.web.admin import site
from ai_gateway.web.context import EXTENSION
from tests.seeding import DEFAULTS, NOW, PASSWORD, UTC_ZONE

PROJECT = Path(__file__).parents[2]


@dataclass
class SetClock:
    """The present moment, as a test wants it."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class StaffServices:
    """The part of `Services` that the staff pages use."""

    reports: Reports
    sign_in: SignIn
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


def build(url: str, zone: ZoneInfo = UTC_ZONE) -> StaffApp:
    """On a database whose tables are there. Seed it outside this application's own context.

    Inside it, all requests would share one `g`, and with it the user of the first.
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
    services = StaffServices(
        Reports(ReportingStore(), clock=clock, zone=zone, defaults=DEFAULTS),
        SignIn(StaffSessions(), clock),
    )
    app.extensions[EXTENSION] = services
    site.init_app(app)
    unmatched.init_app(app)
    with app.app_context():
        engine = db.engine
        configure(engine, busy_ms=WORKER_BUSY_MS)
    return StaffApp(app, clock, services, engine)


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
