"""Somebody without a role who is logged in, beside another user; Redis answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_gateway.stores.tables import db
from tests.redis_servers import RedisServer
from tests.seeding import add_user
from tests.sql_database import opened, sqlite_url
from tests.web.staff_app import StaffApp, build, log_in, publish_counters

ANN, BEN = 1, 2


@pytest.fixture
def own(tmp_path: Path, server: RedisServer) -> Iterator[StaffApp]:
    """`ann` is logged in; `publish_counters` tells Redis what is seeded after this."""
    url = sqlite_url(tmp_path)
    with opened(url):
        assert [add_user(name) for name in ("ann", "ben")] == [ANN, BEN]
        publish_counters(server.url, db.engine)
        made = build(url, redis_url=server.url)
        log_in(made.client, "ann")
        yield made
        made.engine.dispose()
