"""Giving a user room again over the API: by sessions of staff, once, with a reason."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from ai_gateway.stores.tables import db
from tests.gateway_app import credential
from tests.redis_servers import RedisServer
from tests.web.api_app import API, USD, Api, opened_api

WHY = {"reason": "the batch was ours"}


@pytest.fixture(scope="module")
def api(server: RedisServer) -> Iterator[Api]:
    """One of its own, since the outbox is counted."""
    with opened_api(server, has_story=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    return api.key(daily="2", monthly="3")


@pytest.fixture
def spender(api: Api, key: str) -> str:
    api.spend(key, USD)
    return key


def token_of(client: FlaskClient) -> str:
    page = client.get("/admin/").text
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def reset(
    api: Api, key: str, body: Any = WHY, client: FlaskClient | None = None, **headers: str
) -> TestResponse:
    client = client or api.session("operator")
    sent = {"X-CSRFToken": token_of(client)} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return client.post(f"{API}/user/{api.id_of(key)}/reset/", json=body, headers=sent)


def spends(api: Api, key: str) -> tuple[int, int]:
    body = api.told("/user/", key)
    return body["daily_spend_nano_usd"], body["monthly_spend_nano_usd"]


def audited(api: Api, user_id: int) -> int:
    with api.gateway.app.app_context(), db.engine.connect() as connection:
        query = "SELECT count(*) FROM audit_entry WHERE action = 'spend_reset' AND target_id = :id"
        return int(connection.scalar(text(query), {"id": str(user_id)}) or 0)


def test_both_windows_are_empty_then_and_the_message_says_what_was_taken(
    api: Api, spender: str
) -> None:
    before = audited(api, api.id_of(spender))
    answer = reset(api, spender)
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert answer.json["user_id"] == api.id_of(spender)
    assert "$1.00 of today and $1.00 of this month" in answer.json["message"]
    assert spends(api, spender) == (0, 0)
    assert audited(api, api.id_of(spender)) == before + 1


@pytest.mark.parametrize(("window", "left"), [("day", (0, USD)), ("month", (USD, 0))])
def test_one_window_leaves_the_other(
    api: Api, spender: str, window: str, left: tuple[int, int]
) -> None:
    assert reset(api, spender, WHY | {"windows": [window]}).status_code == 200
    assert spends(api, spender) == left


def test_the_same_key_acts_once_and_answers_the_same(api: Api, spender: str) -> None:
    first = reset(api, spender, Idempotency_Key="k-1")
    api.spend(spender, USD // 2)
    again = reset(api, spender, Idempotency_Key="k-1")
    assert again.status_code == 200
    assert again.json == first.json
    assert spends(api, spender) == (USD // 2, USD // 2)
    assert reset(api, spender, Idempotency_Key="k-2").status_code == 200
    assert spends(api, spender) == (0, 0)


def test_without_a_key_every_request_acts(api: Api, spender: str) -> None:
    reset(api, spender)
    api.spend(spender, 5)
    reset(api, spender)
    assert spends(api, spender) == (0, 0)


BODIES = {
    "nothing": ({}, "reason"),
    "an empty reason": ({"reason": ""}, "reason"),
    "a blank reason": ({"reason": " \n"}, "reason"),
    "a long reason": ({"reason": "a" * 501}, "reason"),
    "a number for a reason": ({"reason": 7}, "reason"),
    "no window": (WHY | {"windows": []}, "windows"),
    "an unknown window": (WHY | {"windows": ["year"]}, "windows"),
    "three windows": (WHY | {"windows": ["day", "day", "day"]}, "windows"),
    "an unknown field": (WHY | {"user": 1}, "user"),
    "a list": ([], ""),
}


@pytest.mark.parametrize(("body", "param"), BODIES.values(), ids=BODIES)
def test_a_body_that_makes_no_sense_changes_nothing(
    api: Api, spender: str, body: Any, param: str
) -> None:
    answer = reset(api, spender, body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["code"] == "invalid_request"
    assert (answer.json["error"]["param"] or "") == param
    assert spends(api, spender) == (USD, USD)


def test_what_is_no_json_or_has_parameters_changes_nothing(api: Api, spender: str) -> None:
    client = api.session("operator")
    address = f"{API}/user/{api.id_of(spender)}/reset/"
    headers = {"X-CSRFToken": token_of(client)}
    for body in (b"{", b"\xff", b"reason=x", b"1" * 10_000):
        assert client.post(address, data=body, headers=headers).status_code == 400
    assert client.post(f"{address}?windows=day", json=WHY, headers=headers).status_code == 400
    too_large = client.post(address, data=b" " * (2**20 + 1), headers=headers)
    assert too_large.status_code == 413
    assert too_large.json is not None
    assert too_large.json["error"]["code"] == "request_too_large"
    long_key = client.post(address, json=WHY, headers=headers | {"Idempotency-Key": "k" * 201})
    assert long_key.status_code == 400
    assert spends(api, spender) == (USD, USD)


@pytest.mark.parametrize("token", [{}, {"X-CSRFToken": ""}, {"X-CSRFToken": "forged"}], ids=str)
def test_without_the_token_of_the_session_nothing_changes(
    api: Api, spender: str, token: dict[str, str]
) -> None:
    address = f"{API}/user/{api.id_of(spender)}/reset/"
    answer = api.session("operator").post(address, json=WHY, headers=token)
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["param"] == "X-CSRFToken"
    assert spends(api, spender) == (USD, USD)


def test_a_key_of_staff_only_reads(api: Api, spender: str) -> None:
    admin = api.key("admin")
    address = f"{API}/user/{api.id_of(spender)}/reset/"
    client = api.gateway.client
    for headers in (credential(admin), {"x-api-key": admin}):
        answer = client.post(address, json=WHY, headers=headers)
        assert answer.status_code == 403
        assert answer.json is not None
        assert "A key only reads" in answer.json["error"]["message"]
    # Not even beside a session that could.
    both = reset(api, spender, Authorization=f"Bearer {admin}")
    assert both.status_code == 403
    assert spends(api, spender) == (USD, USD)


@pytest.mark.parametrize("role", [None, "viewer"])
def test_a_role_without_the_permission_changes_nothing(
    api: Api, spender: str, role: str | None
) -> None:
    answer = reset(api, spender, client=api.session(role))
    assert answer.status_code == 403
    assert answer.json is not None
    assert "reset_user_spend" in answer.json["error"]["message"]
    assert spends(api, spender) == (USD, USD)


def test_nobody_changes_nothing(api: Api, spender: str) -> None:
    address = f"{API}/user/{api.id_of(spender)}/reset/"
    assert api.gateway.app.test_client().post(address, json=WHY).status_code == 401
    assert spends(api, spender) == (USD, USD)


def test_a_user_that_is_not_there_is_not_found(api: Api) -> None:
    client = api.session("operator")
    answer = client.post(
        f"{API}/user/999999/reset/", json=WHY, headers={"X-CSRFToken": token_of(client)}
    )
    assert answer.status_code == 404
    assert answer.json is not None
    assert answer.json["error"]["code"] == "user_not_found"
