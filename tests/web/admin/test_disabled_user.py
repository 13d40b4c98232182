"""A user who is disabled on the page of accounts, as the gateway sees it: on a real Valkey."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import GatewayApp, opened_app
from tests.redis_servers import running_redis
from tests.seeding import PASSWORD


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as running:
        yield running


@pytest.fixture
def gateway(simulator: RunningSimulator) -> Iterator[GatewayApp]:
    with running_redis() as server, opened_app(server, simulator) as opened:
        yield opened


def token(page: str) -> str:
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def log_in(client: FlaskClient, name: str) -> None:
    form = {"csrf_token": token(client.get("/login").text), "username": name, "password": PASSWORD}
    assert client.post("/login", data=form).status_code == 303


def act(client: FlaskClient, action: str, user_id: int) -> None:
    form = {"csrf_token": token(client.get("/me/password/").text)}
    client.post("/admin/user/action/", data=form | {"task": action, "selected": user_id})


def test_keys_stop_with_the_next_call_and_sessions_with_the_next_page(gateway: GatewayApp) -> None:
    administrator = gateway.make_staff("--superuser")
    name = gateway.make_staff("--staff")
    key = gateway.make_key(name)
    with gateway.app.app_context():
        user_id = gateway.services.user_admin.user_id(name)
    at_work, theirs = gateway.app.test_client(), gateway.app.test_client()
    log_in(at_work, administrator)
    log_in(theirs, name)
    assert gateway.call(key).status_code == 200
    act(at_work, "disable", user_id)
    assert gateway.call(key).status_code == 401
    assert theirs.get("/admin/", headers={"Accept": "text/html"}).status_code == 302
    act(at_work, "enable", user_id)
    assert gateway.call(key).status_code == 200
    assert theirs.get("/admin/", headers={"Accept": "text/html"}).status_code == 302
