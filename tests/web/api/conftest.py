"""One application with a story for tests that only read, and a server for others of their own."""

from collections.abc import Iterator

import pytest

from ai_gateway.domain.audit import COMMAND_LINE
from ai_gateway.domain.house_rules import provider_pause
from ai_gateway.services.price_admin import PriceOrder
from tests.redis_servers import RedisServer, running_redis
from tests.seeding import seed_keys
from tests.web.api_app import Api, opened_api


@pytest.fixture(scope="session")
def api() -> Iterator[Api]:
    with running_redis() as own_server, opened_api(own_server) as opened:
        with opened.gateway.app.app_context():
            seed_keys(2)
            order = PriceOrder("openai", "gpt-3.5-turbo", COMMAND_LINE)
            opened.gateway.services.prices.admin.enter(order, {"input": "1", "output": "2"})
            pauses = opened.gateway.services.budgets.pauses
            pauses.set(provider_pause("cerebras"), "Maintenance until 18:00 UTC.", COMMAND_LINE)
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
