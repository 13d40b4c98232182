"""A served application with staff, on SQLite and on a real Valkey that knows the seeded spend."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ai_gateway.stores.tables import db
from tests.alerts import MAIL, WEBHOOK, admin_of
from tests.redis_servers import running_redis
from tests.seeding import add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import StaffApp, build, publish_counters, served


@dataclass
class Site:
    """A served application and its address."""

    address: str
    staff_app: StaffApp


def with_channels(made: StaffApp) -> None:
    """Let alerts have somewhere to go, as far as pages show."""
    made.services.alerts = admin_of(made.engine, made.clock, (MAIL, WEBHOOK))


@contextmanager
def running_site(
    seed: Callable[[int], None], prepare: Callable[[StaffApp], None] = lambda _made: None
) -> Iterator[Site]:
    """Seed it with the id of the user `admin`; `prepare` may add to it before it serves."""
    with TemporaryDirectory() as folder, running_redis() as redis:
        url = sqlite_url(Path(folder))
        with opened(url):
            add_user("nobody")
            seed(add_user("admin", role="admin"))
            publish_counters(redis.url, db.engine)
            made = build(url, redis_url=redis.url)
            prepare(made)
            with served(made.app) as address:
                yield Site(address, made)
            made.engine.dispose()
