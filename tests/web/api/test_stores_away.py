"""A store that is away is told as such, what needs it not goes on, and none is asked too often."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from ai_gateway.stores import redis_keys
from ai_gateway.stores.tables import db
from tests.redis_servers import RedisServer, running_redis
from tests.sql_database import counted_statements
from tests.web.api_app import API, Api, opened_api

FROM_THE_LEDGER = (
    "/system/", "/series/", "/models/", "/top/", "/activity/", "/users/", "/langsmith/health/",
)  # fmt: skip
FROM_THE_COUNTERS = ("/user/", "/user/spend-limit/", "/users/1/")
MOST_STATEMENTS = 12


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


def told(answer: TestResponse) -> tuple[int, str, str | None]:
    assert answer.json is not None
    error = answer.json["error"]
    return answer.status_code, error["code"], answer.headers.get("retry-after")


def without_counters(client: FlaskClient) -> None:
    for address in FROM_THE_LEDGER:
        assert client.get(API + address).status_code == 200, address
    for address in FROM_THE_COUNTERS:
        assert told(client.get(API + address)) == (503, "budget_unavailable", "2"), address
    body = client.get(f"{API}/users/").json
    assert body is not None
    assert body["is_live"] is False
    assert body["users"]


def test_without_redis_the_ledger_goes_on(own_server: RedisServer) -> None:
    with opened_api(own_server, has_story=False) as api:
        client = api.session("viewer")
        key = api.key("viewer")
        own_server.stop()
        without_counters(client)
        # Whose key it is stands in Redis too.
        assert told(api.ask("/system/", key)) == (503, "budget_unavailable", "2")
        own_server.start()


def test_counters_that_nobody_has_restored_are_not_told(own_server: RedisServer) -> None:
    with opened_api(own_server, has_story=False) as api:
        client = api.session("viewer")
        api.gateway.store.client.hdel(redis_keys.META, "epoch")
        without_counters(client)


def test_without_sql_everything_is_unavailable_and_nothing_is_said_of_it(
    own_server: RedisServer,
) -> None:
    with opened_api(own_server, has_story=False) as api:
        key = api.key("viewer")
        with api.gateway.app.app_context(), db.engine.begin() as connection:
            connection.execute(text('ALTER TABLE "user" RENAME TO hidden'))
        for address in (*FROM_THE_LEDGER, *FROM_THE_COUNTERS):
            answer = api.ask(address, key)
            assert told(answer) == (503, "gateway_unavailable", "2"), address
            assert "hidden" not in answer.text


@pytest.mark.parametrize(
    ("address", "most"),
    [
        ("/user/", 5), ("/user/spend-limit/", 3), ("/system/", 4), ("/langsmith/health/", 2),
        ("/series/", 4), ("/models/", 4), ("/top/", 4), ("/activity/", 4), ("/users/", 4),
        ("/users/2/", 6),
    ],
)  # fmt: skip
def test_every_answer_takes_few_statements(api: Api, viewer: str, address: str, most: int) -> None:
    client = api.session("viewer")
    with api.gateway.app.app_context():
        engine = db.engine
    with counted_statements(engine) as by_session:
        assert client.get(API + address).status_code == 200
    with counted_statements(engine) as by_key:
        assert api.ask(address, viewer).status_code == 200
    assert 0 < len(by_session) <= most <= MOST_STATEMENTS, by_session
    assert 0 < len(by_key) <= most, by_key


def test_a_longer_list_takes_no_more_statements(api: Api, viewer: str) -> None:
    with api.gateway.app.app_context():
        engine = db.engine
    for address in ("/users/", "/activity/", "/top/"):
        counts = set()
        for limit in (1, 20):
            with counted_statements(engine) as sent:
                api.told(address, viewer, limit=limit)
            counts.add(len(sent))
        assert len(counts) == 1, address
