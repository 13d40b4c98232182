"""Staff pages for somebody who may look, without a Redis and with one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_servers import RedisServer
from tests.seeding import add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import StaffApp, build, log_in


@pytest.fixture
def viewer(staff_app: StaffApp) -> StaffApp:
    """Somebody who may look is logged in; there is no Redis."""
    add_user("viewer", role="viewer")
    log_in(staff_app.client, "viewer")
    return staff_app


@pytest.fixture
def live(tmp_path: Path, server: RedisServer) -> Iterator[StaffApp]:
    """With a Redis that answers; `publish_counters` tells it what was seeded."""
    url = sqlite_url(tmp_path)
    with opened(url):
        made = build(url, redis_url=server.url)
        yield made
        made.engine.dispose()
