"""The header `Idempotency-Key` of calls, in each dialect: statuses, bodies, advice."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from ai_gateway.stores import redis_keys
from ai_gateway.stores.tables import LedgerEntry, db
from simulator.testing import RunningSimulator
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import RedisServer

AZURE = "/openai/deployments/eu-mini/chat/completions?api-version=2024-10-21"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of client asks."""

    path: str
    model: str
    header: str


DIALECTS = {
    "openai": Dialect("/v1/chat/completions", "gpt-4o-mini", "authorization"),
    "azure": Dialect(AZURE, "gpt-4o-mini", "api-key"),
    "anthropic": Dialect("/v1/messages", "claude-haiku-5-5", "x-api-key"),
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@pytest.fixture(scope="module")
def gateway(
    server: RedisServer, simulator: RunningSimulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayApp]:
    config: Path = tmp_path_factory.mktemp("config") / "gateway.toml"
    config.write_text('[azure.deployments]\neu-mini = "gpt-4o-mini"\n')
    with opened_app(server, simulator, {"AI_GATEWAY_CONFIG": str(config)}) as opened:
        yield opened


@pytest.fixture
def key(gateway: GatewayApp) -> str:
    return gateway.make_key()


def ask(
    gateway: GatewayApp,
    key: str,
    dialect: Dialect,
    value: str | None = "order-4711",
    **more: object,
) -> TestResponse:
    body = {
        "model": dialect.model,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 5,
        **more,
    }
    credential = f"Bearer {key}" if dialect.header == "authorization" else key
    headers = {dialect.header: credential} | ({"Idempotency-Key": value} if value else {})
    return gateway.client.post(dialect.path, json=body, headers=headers)


def told(answer: TestResponse, dialect: Dialect) -> str:
    """The message of an error that has its dialect's shape."""
    body = json.loads(answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert (body.get("type") == "error") == (dialect.header == "x-api-key")
    return str(body["error"]["message"])


def calls_booked(gateway: GatewayApp, key: str) -> int:
    with gateway.app.app_context():
        while gateway.bookkeeper().book(block_ms=None):
            pass
        of_key = LedgerEntry.key_id == key.split("_")[1]
        return db.session.scalar(select(func.count()).where(of_key)) or 0


@every_dialect
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_repeat_is_answered_409_and_names_the_first_call(
    gateway: GatewayApp, key: str, dialect: Dialect, *, stream: bool
) -> None:
    first = ask(gateway, key, dialect, stream=stream)
    assert first.status_code == 200
    assert first.data
    first.close()
    repeat = ask(gateway, key, dialect, stream=stream)
    assert (repeat.status_code, repeat.headers["x-should-retry"]) == (409, "false")
    message = told(repeat, dialect)
    assert first.headers["x-request-id"] in message
    assert "ended as `success`" in message
    assert repeat.headers["x-request-id"] != first.headers["x-request-id"]
    assert calls_booked(gateway, key) == 1


@every_dialect
def test_a_repeat_of_a_running_call_is_answered_409(
    gateway: GatewayApp, key: str, dialect: Dialect
) -> None:
    first = ask(gateway, key, dialect, stream=True)
    repeat = ask(gateway, key, dialect, stream=True)
    assert (repeat.status_code, repeat.headers["x-should-retry"]) == (409, "false")
    assert f"{first.headers['x-request-id']} came before" in told(repeat, dialect)
    assert "still running" in told(repeat, dialect)
    assert first.data
    first.close()


@every_dialect
def test_another_body_under_the_same_key_is_answered_422(
    gateway: GatewayApp, key: str, dialect: Dialect
) -> None:
    ask(gateway, key, dialect)
    other = ask(gateway, key, dialect, temperature=0)
    assert (other.status_code, other.headers["x-should-retry"]) == (422, "false")
    assert "was another request" in told(other, dialect)


@every_dialect
@pytest.mark.parametrize("value", ["a b", "x" * 256, "\u00fc"], ids=["space", "long", "umlaut"])
def test_a_bad_value_is_answered_400(
    gateway: GatewayApp, key: str, dialect: Dialect, value: str
) -> None:
    answer = ask(gateway, key, dialect, value)
    assert answer.status_code == 400
    assert told(answer, dialect) == "Idempotency-Key: 1 to 255 visible ASCII characters."
    assert value not in answer.text


def test_the_same_key_at_another_address_is_answered_422(gateway: GatewayApp, key: str) -> None:
    ask(gateway, key, DIALECTS["openai"])
    other = ask(gateway, key, Dialect(AZURE, "gpt-4o-mini", "api-key"))
    assert other.status_code == 422


def test_another_key_with_the_same_value_is_served(gateway: GatewayApp, key: str) -> None:
    dialect = DIALECTS["openai"]
    first = ask(gateway, key, dialect)
    other = ask(gateway, gateway.make_key(), dialect)
    assert (first.status_code, other.status_code) == (200, 200)


def test_what_is_free_ignores_the_header(gateway: GatewayApp, key: str) -> None:
    headers = {"x-api-key": key, "Idempotency-Key": "a b"}
    body = {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": "Hello"}]}
    for _ in range(2):
        counted = gateway.client.post("/v1/messages/count_tokens", json=body, headers=headers)
        assert counted.status_code == 200
        assert gateway.client.get("/v1/models", headers=headers).status_code == 200
    assert gateway.store.names(redis_keys.idempotency(key.split("_")[1])) == []


def test_calls_without_the_header_are_all_sent(gateway: GatewayApp, key: str) -> None:
    for _ in range(2):
        assert ask(gateway, key, DIALECTS["openai"], None).status_code == 200
    assert calls_booked(gateway, key) == 2
