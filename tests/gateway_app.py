"""The whole application in this process, on a real Valkey and before a real simulator."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from ai_gateway.domain.clock import Clock, system_clock
from ai_gateway.factory import START_EXTENSION, create_app
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.stores.embedded import database_path
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import User, db
from ai_gateway.web.context import EXTENSION, Services
from simulator.testing import RunningSimulator
from tests.money import UTC_ZONE, MoneyStore
from tests.redis_cluster import Cluster
from tests.redis_servers import RedisServer
from tests.seeding import password_hash
from tests.templates import COMPILED_TEMPLATES

OPENAI, ANTHROPIC = "/v1/chat/completions", "/v1/messages"
MODELS = {OPENAI: "gpt-4o-mini", ANTHROPIC: "claude-haiku-5-5"}


@dataclass
class GatewayApp:
    """One application with its stores; `flask` runs its commands."""

    app: Flask
    store: MoneyStore
    data_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    client: FlaskClient = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    @property
    def services(self) -> Services:
        found: Services = self.app.extensions[EXTENSION]
        return found

    def flask(self, *arguments: str, text: str | None = None) -> Result:
        # A context that another test of this process holds open must not stand for ours.
        with self.app.app_context():
            return self.app.test_cli_runner().invoke(args=arguments, input=text)

    def make_user(self, *options: str) -> str:
        name = f"user{next(self._numbers)}"
        made = self.flask("user", "create", name, "--email", f"{name}@example.com", *options)
        assert made.exit_code == 0, made.output
        return name

    def make_staff(self, *options: str) -> str:
        """A user who can log in with `PASSWORD`, by a hash that is quickly compared."""
        name = self.make_user(*options)
        with self.app.app_context():
            named = update(User).where(User.username == name)
            db.session.execute(named.values(password_hash=password_hash()))
            db.session.commit()
        return name

    def make_key(self, name: str | None = None, *options: str, **user_limits: str) -> str:
        """The text of a key; `daily` and `monthly` are limits of its user, in USD."""
        name = name or self.make_user()
        if user_limits:
            chosen = [part for window, usd in user_limits.items() for part in (f"--{window}", usd)]
            assert self.flask("user", "limit", name, *chosen).exit_code == 0
        made = self.flask("key", "create", name, *options)
        assert made.exit_code == 0, made.output
        return made.stdout.strip()

    def call(
        self, key: str | None, path: str = OPENAI, prompt: str = "Hello", **fields: Any
    ) -> TestResponse:
        """One call in the dialect of the path."""
        cap = {"max_tokens": 50}
        message = {"role": "user", "content": prompt}
        body = {"model": MODELS[path], "messages": [message], **cap, **fields}
        return self.client.post(path, json=body, headers=credential(key, path))

    def bookkeeper(self) -> Bookkeeper:
        """Has to be used inside the context of the application."""
        ledger = Ledger(db.engine, UTC_ZONE)
        stores = BookkeeperStores(self.store.outbox, self.store.published, ledger)
        services = self.services
        return Bookkeeper(stores, services.key_admin, clock=services.clock, zone=UTC_ZONE)

    def open(self) -> None:
        """Let the counters be trusted, as the bookkeeper does."""
        with self.app.app_context():
            self.bookkeeper().restore()


def credential(key: str | None, path: str = OPENAI) -> dict[str, str]:
    if path == ANTHROPIC:
        return {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
    return {"authorization": f"Bearer {key}"} if key else {}


_databases: dict[tuple[str | None, datetime | None], bytes] = {}
"""Embedded ones as the first `setup` left them: it hashes a password, which is slow on purpose.

By time zone and by the clock that was set; the next application begins with a copy.
"""


@contextmanager
def opened_app(
    server: RedisServer | Cluster,
    simulator: RunningSimulator | None = None,
    variables: Mapping[str, str] | None = None,
    *,
    is_set_up: bool = True,
    clock: Clock = system_clock,
) -> Iterator[GatewayApp]:
    """An application on an emptied server, with a database of its own."""
    folder = Path(tempfile.mkdtemp(prefix="agw"))
    environment = {
        "AI_GATEWAY_DATA_DIR": str(folder),
        "REDIS_URL": server.url,
        "SECRET_KEY": "4f6d2a9c81e35b70d1c2",
        "AI_GATEWAY_KEY_PEPPER": "90b1e7d5c3a8f2461e0f",
        "AI_GATEWAY_SIMULATOR": "on",
        **({"AI_GATEWAY_SIMULATOR_URL": simulator.url} if simulator else {}),
        **(variables or {}),
    }
    kind = (environment.get("AI_GATEWAY_TIMEZONE"), None if clock is system_clock else clock())
    if is_set_up and kind in _databases:
        database_path(folder).write_bytes(_databases[kind])
    app = create_app(environment, clock=clock)
    app.jinja_env.bytecode_cache = COMPILED_TEMPLATES
    with connect(server.url, timeout_seconds=5) as client:
        client.flushall()
        opened = GatewayApp(app, MoneyStore(client), folder, environment)
        if is_set_up:
            made = opened.flask("setup")
            assert made.exit_code == 0, (made.output, made.exception)
            if kind not in _databases and database_path(folder).exists():
                _databases[kind] = _content(database_path(folder))
            opened.open()
        yield opened
    _close(opened)
    shutil.rmtree(folder)


def _content(database: Path) -> bytes:
    with closing(sqlite3.connect(database)) as connection:
        return connection.serialize()


@contextmanager
def another_worker(of: GatewayApp, *, clock: Clock = system_clock) -> Iterator[GatewayApp]:
    """A second application on the same stores, begun as gunicorn begins a worker."""
    app = create_app(of.environment, clock=clock)
    opened = GatewayApp(app, of.store, of.data_dir, of.environment)
    with app.app_context():
        app.extensions[START_EXTENSION]()
    yield opened
    _close(opened)


def _close(opened: GatewayApp) -> None:
    """Close what a worker has open until it ends."""
    proxy = opened.services.proxy
    proxy._ending.open_calls._stop.set()
    for kept in proxy._dispatch._transport._connections._kept.values():
        while kept:
            kept.pop().close()
    opened.services.health._published._client.close()
    with opened.app.app_context():
        db.session.remove()
        db.engine.dispose()
