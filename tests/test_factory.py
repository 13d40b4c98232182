"""The composition root: what settings make of the application; it opens nothing by itself."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from ai_gateway.domain.clock import system_clock
from ai_gateway.domain.limits import NO_LIMIT
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.factory import create_app
from ai_gateway.factory.bookkeeper import make_bookkeeper
from ai_gateway.settings import SettingsError, read_settings
from ai_gateway.stores import embedded
from ai_gateway.stores.tables import db
from ai_gateway.web.context import EXTENSION, Services
from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import OPENAI, opened_app
from tests.money import amount
from tests.redis_servers import RedisServer, running_redis

SECRETS = {
    "SECRET_KEY": "4f6d2a9c81e35b70d1c2",
    "AI_GATEWAY_KEY_PEPPER": "90b1e7d5c3a8f2461e0f",
}
NOWHERE = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


def services(app: Flask) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def test_an_application_is_built_without_a_connection(tmp_path: Path) -> None:
    app = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path / "data"), **NOWHERE, **SECRETS})
    assert app.test_client().get("/health/live").status_code == 200
    assert not (tmp_path / "data").exists()


def test_embedded_stores_bring_their_own_secrets(tmp_path: Path) -> None:
    first = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path)})
    second = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path)})
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    assert first.config["SECRET_KEY"] == embedded.ensure_secrets(tmp_path)[0]


def test_cookies_signed_with_the_secret_before_are_still_read(tmp_path: Path) -> None:
    before = "c17e90a2b4d6385f2e1b"
    env = {"AI_GATEWAY_DATA_DIR": str(tmp_path), **SECRETS}
    app = create_app({**env, "AI_GATEWAY_SECRET_KEY_BEFORE": before})
    assert (app.secret_key, app.config["SECRET_KEY_FALLBACKS"]) == (SECRETS["SECRET_KEY"], [before])


def test_secrets_of_the_operator_stand_before_those(tmp_path: Path) -> None:
    chosen = {"SECRET_KEY": SECRETS["SECRET_KEY"]}
    app = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path), **chosen})
    assert app.config["SECRET_KEY"] == SECRETS["SECRET_KEY"]


@pytest.mark.parametrize("store", NOWHERE)
@pytest.mark.parametrize("missing", SECRETS)
def test_stores_of_the_operator_need_secrets_of_the_operator(
    tmp_path: Path, store: str, missing: str
) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    with pytest.raises(SettingsError, match=f"^{missing} is needed where .*openssl rand"):
        create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path), store: NOWHERE[store], **given})


def test_a_wrong_setting_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="AI_GATEWAY_TIMEZON is not a setting"):
        create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path), "AI_GATEWAY_TIMEZON": "UTC"})


@pytest.mark.parametrize(("slot", "busy_ms"), [({}, 10_000), ({"AI_GATEWAY_WORKER_SLOT": "0"}, 50)])
def test_a_worker_hardly_waits_for_sqlite(
    tmp_path: Path, slot: dict[str, str], busy_ms: int
) -> None:
    app = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path), **slot})
    with app.app_context():
        with db.engine.connect() as connection:
            assert connection.scalar(text("PRAGMA busy_timeout")) == busy_ms
        db.engine.dispose()


@pytest.mark.parametrize(
    ("variables", "is_simulated"),
    [
        ({}, True),
        ({"AI_GATEWAY_SIMULATOR": "off"}, False),
        ({"OPENAI_API_KEY": "sk-1"}, False),
        ({"HOST": "0.0.0.0"}, False),  # noqa: S104 - that is the point
        ({"AI_GATEWAY_SIMULATOR": "on", "OPENAI_API_KEY": "sk-1"}, True),
    ],
    ids=str,
)
def test_the_simulator_serves_where_no_provider_could_be_meant(
    tmp_path: Path, variables: dict[str, str], *, is_simulated: bool
) -> None:
    app = create_app({"AI_GATEWAY_DATA_DIR": str(tmp_path), **variables})
    assert services(app).is_simulated is is_simulated


def test_limits_of_the_environment_are_those_of_every_key(server: RedisServer) -> None:
    variables = {
        "AI_MONTHLY_SPEND_LIMIT_USD": "700",
        "AI_USER_DAILY_SPEND_LIMIT_USD": "0.5",
        "AI_USER_MONTHLY_SPEND_LIMIT_USD": "9",
    }
    with opened_app(server, variables=variables) as gateway:
        key_id = gateway.make_key().split("_")[1]
        loaded, rules = gateway.store.copies.load_with_rules(key_id)
    assert loaded is not None
    assert rules is not None
    usd = 10**9
    assert rules.in_force(loaded[0].limits) == (
        amount(700 * usd), amount(usd // 2), amount(9 * usd), NO_LIMIT, NO_LIMIT,
    )  # fmt: skip


@pytest.mark.parametrize(("is_tracked", "status"), [("true", 429), ("false", 200)])
def test_budgets_are_enforced_unless_the_operator_says_no(
    server: RedisServer, simulator: RunningSimulator, is_tracked: str, status: int
) -> None:
    variables = {"AI_COST_TRACKING_ENABLED": is_tracked, "AI_USER_DAILY_SPEND_LIMIT_USD": "0"}
    with opened_app(server, simulator, variables) as gateway:
        key = gateway.make_key()
        assert gateway.call(key, OPENAI).status_code == status
        spent = gateway.store.names("{agw}:account:user")
        assert bool(gateway.store.client.hget(spent[0], "spent")) is (status == 200)


def test_a_provider_without_a_simulator_address_is_away_and_costs_nothing(
    server: RedisServer,
) -> None:
    with opened_app(server) as gateway:
        key = gateway.make_key()
        answer = gateway.call(key, OPENAI)
        assert answer.status_code == 502
        assert answer.headers["x-should-retry"] == "true"
        [entry] = gateway.store.entries()
        assert entry["cost"] == "0"


@pytest.mark.parametrize("is_embedded", [True, False])
def test_bookkeeper_writes_the_embedded_valkey_alone_to_the_disk(
    tmp_path: Path, *, is_embedded: bool
) -> None:
    files = tmp_path / "valkey" / "appendonlydir"
    files.mkdir(parents=True)
    (files / "1.incr.aof").symlink_to("/dev/null")  # there is nothing to write of it
    elsewhere = {} if is_embedded else NOWHERE
    environment = {"AI_GATEWAY_DATA_DIR": str(tmp_path), **SECRETS, **elsewhere}
    app = create_app(environment)
    with app.app_context():
        keys = services(app).key_admin
        bookkeeper = make_bookkeeper(read_settings(environment), keys, system_clock)
    (write,) = (duty.run for duty in bookkeeper._duties if duty.name == "write_to_disk")
    with pytest.raises(GatewayUnavailable) if is_embedded else nullcontext():
        write()
