"""One application with a story for tests that only read, and a server for others of their own."""

from collections.abc import Iterator

import pytest

from tests.redis_servers import RedisServer, running_redis
from tests.web.api_app import Api, opened_api


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    with running_redis() as own_server, opened_api(own_server) as opened:
        yield opened


@pytest.fixture(scope="session")
def viewer(api: Api) -> str:
    """The key of a member of staff."""
    return api.key("viewer")


@pytest.fixture(scope="session")
def server() -> Iterator[RedisServer]:
    """Each application that is opened on it empties it first."""
    with running_redis() as running:
        yield running
