"""The whole application on a seeded database, before a real Valkey, with somebody logged in."""

import re
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import Engine

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.limits import Window, window_id
from ai_gateway.domain.roles import Role
from ai_gateway.factory import create_app
from ai_gateway.services.user_admin import NewUser
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import db
from ai_gateway.web.context import EXTENSION, Services
from bench.errors import BenchError
from bench.scale.checking import ZONE, differences_of_accounts, differences_of_day
from bench.scale.databases import Server
from bench.scale.population import FIRST_DAY, NOW, Population
from bench.scale.seeding import Shown, seed
from tests.redis_servers import running_redis
from tests.trusting import trust

STAFF, PASSWORD = "scale.admin", "a pass phrase of the bench"
SAMPLED_DAY = FIRST_DAY + timedelta(days=9)
SAMPLED_USERS = 20


@dataclass(frozen=True, slots=True)
class Site:
    """A seeded gateway; `environment` makes the same one in another process."""

    people: Population
    client: FlaskClient
    engine: Engine
    environment: Mapping[str, str]


@contextmanager
def opened_site(
    server: Server, people: Population, shown: Shown, *, months_before: int = 0
) -> Iterator[Site]:
    """Make the database and all that is in it; it is gone at the end."""
    with (
        tempfile.TemporaryDirectory(prefix="scale-") as folder,
        running_redis("valkey") as valkey,
    ):
        environment = {
            "AI_GATEWAY_DATA_DIR": folder,
            "DATABASE_URL": server.new_database(Path(folder).name),
            "REDIS_URL": valkey.url,
            "SECRET_KEY": secrets.token_hex(),
            "AI_GATEWAY_KEY_PEPPER": secrets.token_hex(),
            "AI_GATEWAY_SIMULATOR": "on",
            "AI_GATEWAY_LOG_LEVEL": "warning",
        }
        app = application(environment)
        with app.app_context():
            engine = db.engine
            _set_up(app)
            seed(engine, people, shown, months_before=months_before)
            _check(engine, people)
            _publish(engine, valkey.url)
        try:
            yield Site(people, logged_in(app), engine, environment)
        finally:
            engine.dispose()


def application(environment: Mapping[str, str]) -> Flask:
    """The application at the moment at which the seeds end."""
    return create_app(environment, clock=_now)


def logged_in(app: Flask) -> FlaskClient:
    """A client with the session of an administrator."""
    client = app.test_client()
    page = client.get("/login").text
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)
    if token is None:
        raise BenchError("the log-in page has no token")
    form = {"username": STAFF, "password": PASSWORD, "csrf_token": token[1]}
    if client.post("/login", data=form).status_code != 303:
        raise BenchError("the log-in was refused")
    return client


def _now() -> datetime:
    return NOW


def _set_up(app: Flask) -> None:
    upgrade()
    services: Services = app.extensions[EXTENSION]
    services.user_admin.fix_timezone(ZONE.key)
    new = NewUser(STAFF, "scale.admin@example.org", PASSWORD, Role.ADMIN)
    services.user_admin.create(new, COMMAND_LINE)


def _check(engine: Engine, people: Population) -> None:
    """One day of sums and some users' accounts are what the ledger would have made of them."""
    users = list(range(2, 2 + min(people.users, SAMPLED_USERS)))
    wrong = differences_of_day(engine, SAMPLED_DAY) + differences_of_accounts(engine, users)
    if wrong:
        raise BenchError(f"seeded sums are not those of the ledger: {', '.join(wrong[:5])}")


def _publish(engine: Engine, redis_url: str) -> None:
    """Write the counters as the bookkeeper does, so that pages show live amounts."""
    windows = [window_id(window, NOW, ZONE) for window in Window]
    # Redis counts by its own clock, which is not that of the seeds.
    forget_at = datetime.now(ZONE) + timedelta(days=1)
    with connect(redis_url, timeout_seconds=60) as client:
        spent = Ledger(engine, ZONE).totals.spent(windows)
        counters = ((account, amount, forget_at) for account, amount in spent)
        if not trust(client, counters):
            raise BenchError("the counters could not be published")
