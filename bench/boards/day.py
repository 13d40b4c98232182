"""One day of the demo's calls, and what `/metrics` said of it every minute.

A month of the demo is folded into one day, so that there is something to see in every hour. The
calls, the counters and the bookkeeper are the real ones; only the clock is set by hand.
"""

import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from zoneinfo import ZoneInfo

from flask_migrate import upgrade

from ai_gateway.cli.demo.plan import Block, Call, Join, Step, plan
from ai_gateway.cli.demo.stage import DemoClock, Stage
from ai_gateway.factory import create_app
from ai_gateway.factory.bookkeeper import figure_sources, make_bookkeeper
from ai_gateway.factory.from_settings import redis_url
from ai_gateway.serve.programs import DEMO_CONFIG
from ai_gateway.services.bookkeeping import Bookkeeper
from ai_gateway.services.figures import Figures, FigureSource
from ai_gateway.settings import read_settings
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import db
from ai_gateway.web.context import EXTENSION, Services
from bench.errors import BenchError
from simulator.testing import running_simulator
from tests.redis_servers import running_redis

DAY = timedelta(days=1)
SCRAPE_EVERY = timedelta(minutes=1)
Scrape = tuple[datetime, str]


def day_of_scrapes(folder: Path, end: datetime) -> Iterator[Scrape]:
    """The text of every scrape with its moment, the oldest first."""
    clock = DemoClock(end - DAY)
    with _opened_gateway(folder, clock) as gateway:
        yield from _scrapes(gateway, _folded(plan(end, ZoneInfo("UTC")), end), end)


@dataclass(frozen=True, slots=True)
class _Gateway:
    """A gateway in this process, and a bookkeeper that keeps pace with the clock."""

    stage: Stage
    bookkeeper: Bookkeeper
    figures: Figures
    sources: tuple[FigureSource, ...]

    def scraped(self) -> str:
        """Do what a bookkeeper does within a minute, and scrape."""
        while self.bookkeeper.book(block_ms=None):
            pass
        self.bookkeeper.mirror_refusals()
        for source in self.sources:
            self.figures.refresh(source)
        self.figures.write()
        answer = self.stage.app.test_client().get("/metrics")
        if answer.status_code != HTTPStatus.OK:
            raise BenchError(f"/metrics answered {answer.status}")
        return answer.text


@contextmanager
def _opened_gateway(folder: Path, clock: DemoClock) -> Iterator[_Gateway]:
    with running_simulator() as simulator, running_redis() as valkey:
        environment = {
            "AI_GATEWAY_DATA_DIR": str(folder),
            "REDIS_URL": valkey.url,
            "SECRET_KEY": secrets.token_hex(),
            "AI_GATEWAY_KEY_PEPPER": secrets.token_hex(),
            "AI_GATEWAY_SIMULATOR": "on",
            "AI_GATEWAY_SIMULATOR_URL": simulator.url,
            "AI_GATEWAY_CONFIG": str(DEMO_CONFIG),
            "AI_GATEWAY_LOG_LEVEL": "error",
            "AI_USER_DAILY_SPEND_LIMIT_USD": "8",
            "AI_MONTHLY_SPEND_LIMIT_USD": "150",
        }
        settings = read_settings(environment)
        app = create_app(environment, clock=clock)
        services: Services = app.extensions[EXTENSION]
        with app.app_context(), connect(redis_url(settings), timeout_seconds=60) as client:
            upgrade()
            bookkeeper = make_bookkeeper(settings, services.key_admin, clock)
            bookkeeper.restore()
            ledger = Ledger(db.engine, settings.timezone)
            figures = Figures(PublishedState(client), ledger, Outbox(client), clock)
            sources = figure_sources(settings, client, clock)
            yield _Gateway(Stage(app, clock), bookkeeper, figures, sources)


def _folded(steps: Iterable[Step], end: datetime) -> list[Step]:
    """The steps of many days at their time of the day; all people are there from the start."""
    folded: list[Step] = []
    for step in steps:
        match step:
            case Join():
                folded.append(replace(step, moment=end - DAY, leaves_on=None))
            case Call():
                folded.append(replace(step, moment=end - (end - step.moment) % DAY))
            case Block():
                pass  # the day would have nobody who is near a limit
            case _:
                folded.append(replace(step, moment=end - DAY / 2))
    return sorted(folded, key=lambda step: step.moment)


def _scrapes(gateway: _Gateway, steps: list[Step], end: datetime) -> Iterator[Scrape]:
    stage, coming = gateway.stage, deque(steps)
    moment = end - DAY
    while moment <= end:
        while coming and coming[0].moment <= moment:
            stage.play(coming.popleft())
        stage.clock.now = moment
        yield moment, gateway.scraped()
        moment += SCRAPE_EVERY
