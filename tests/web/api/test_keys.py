"""Keys over the API: read by key or session, changed by sessions alone, secrets told once."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.gateway_app import credential
from tests.redis_servers import RedisServer
from tests.web.api_app import API, Api, opened_api


@pytest.fixture(scope="module")
def api(server: RedisServer) -> Iterator[Api]:
    """One of its own, since its keys are counted."""
    with opened_api(server, has_story=False) as opened:
        yield opened


def send(
    api: Api, path: str, body: Any = None, client: FlaskClient | None = None, **headers: str
) -> TestResponse:
    client = client or api.session("operator")
    # A user without a role has the token on the one page that all have.
    page = client.get("/me/password/").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    sent = {"X-CSRFToken": token} | {name.replace("_", "-"): x for name, x in headers.items()}
    return client.post(f"{API}/keys/{path}", json=body or {}, headers=sent)


def code_of(answer: TestResponse) -> tuple[int, str]:
    assert answer.json is not None
    return answer.status_code, answer.json["error"]["code"]


def test_a_key_is_made_once_and_works_and_its_secret_is_told_once(api: Api) -> None:
    owner = api.key()
    body = {"user_id": api.id_of(owner), "label": "ci", "limit_day": "2.5"}
    made, again = (send(api, "", body, Idempotency_Key="one") for _ in range(2))
    assert made.json is not None
    assert again.json is not None
    key = made.json["key"]
    assert api.gateway.client.get("/v1/models", headers=credential(key)).status_code == 200
    assert (again.json["key"], again.json["key_id"]) == (None, made.json["key_id"])
    told = api.told(f"/keys/{made.json['key_id']}/", key)
    assert (told["label"], told["status"], told["last4"]) == ("ci", "active", key[-4:])
    assert (told["daily"]["limit"], told["monthly"]["limit"]) == (2.5, None)
    assert key.split("_")[2] not in json.dumps(told, default=str)


def test_a_rotation_keeps_both_until_then_and_a_revoke_ends_both(api: Api) -> None:
    old = api.key()
    key_id = old.split("_")[1]
    turned = send(api, f"{key_id}/rotate/", {"grace": "1h"})
    assert turned.json is not None
    new = turned.json["key"]
    assert turned.json["previous_works_until"] == "2026-11-23T08:10:05+00:00"
    assert api.told(f"/keys/{key_id}/", old) == api.told(f"/keys/{key_id}/", new)
    assert api.told(f"/keys/{key_id}/", new)["status"] == "rotating"
    gone = send(api, f"{key_id}/revoke/")
    assert gone.json == {"key_id": key_id, "is_in_force": True}
    for key in (old, new):
        assert api.ask("/keys/", key).status_code == 401
    assert code_of(send(api, f"{key_id}/rotate/", {"grace": "0"})) == (400, "invalid_request")


def test_of_others_there_is_nothing_to_see_and_nothing_to_change(api: Api) -> None:
    key, other = api.key(), api.key()
    key_id = other.split("_")[1]
    mine = api.told("/keys/", key)["keys"]
    assert [one["key_id"] for one in mine] == [key.split("_")[1]]
    assert api.refused(f"/keys/{key_id}/", key) == (404, "key_not_found", "")
    assert api.refused("/keys/", key, user_id=api.id_of(other)) == (403, "not_permitted", "")
    plain = api.session()
    assert code_of(send(api, f"{key_id}/rotate/", {"grace": "0"}, plain)) == (404, "key_not_found")
    assert code_of(send(api, f"{key_id}/revoke/", None, plain)) == (404, "key_not_found")
    to_other = send(api, "", {"user_id": api.id_of(other)}, plain)
    assert code_of(to_other) == (403, "not_permitted")
    assert api.ask("/keys/", other).status_code == 200


def test_a_user_without_a_role_makes_and_revokes_own_keys(api: Api) -> None:
    plain = api.session()
    made = send(api, "", {"label": "mine"}, plain)
    assert made.json is not None
    key_id = made.json["key_id"]
    assert plain.get(f"{API}/keys/{key_id}/").json["label"] == "mine"  # type: ignore[index]  # JSON
    assert send(api, f"{key_id}/revoke/", None, plain).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_key_changes_nothing_and_neither_does_a_session_without_its_token(
    api: Api, role: str
) -> None:
    key = api.key(role)
    address = f"{API}/keys/{key.split('_')[1]}/revoke/"
    by_key = api.gateway.client.post(address, json={}, headers=credential(key))
    assert code_of(by_key) == (403, "not_permitted")
    assert code_of(api.session(role).post(address, json={})) == (400, "invalid_request")
    assert api.ask("/keys/", key).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"role": "admin"},
        {"limit_day": "1e3"},
        {"limit_day": "999999"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2027-01-01T00:00:00"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"allowed_models": ["a b"]},
    ],
    ids=str,
)
def test_what_makes_no_key(api: Api, body: dict[str, Any]) -> None:
    assert code_of(send(api, "", body)) == (400, "invalid_request")


def test_pages_hold_every_key_once_and_a_cursor_is_of_one_question(api: Api) -> None:
    owner = api.key()
    for label in ("one", "two", "three"):
        assert send(api, "", {"user_id": api.id_of(owner), "label": label}).status_code == 200
    viewer = api.key("viewer")
    everybody = [one["key_id"] for one in api.told("/keys/", viewer, limit=200)["keys"]]
    walked: list[str] = []
    cursor: dict[str, object] = {}
    while True:
        page = api.told("/keys/", viewer, limit=2, **cursor)
        walked += [one["key_id"] for one in page["keys"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert walked == everybody
    assert len(set(walked)) == len(walked) >= 5
    assert api.refused("/keys/", viewer, filter="revoked", **cursor) == (
        400,
        "invalid_request",
        "cursor",
    )
