"""Limits and pauses for programs: read by key, changed by session and with what was read."""

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.redis_servers import RedisServer
from tests.web.api.test_reset import token_of
from tests.web.api_app import API, Api, opened_api


@pytest.fixture(scope="module")
def own(server: RedisServer) -> Iterator[Api]:
    """One whose limits may be changed."""
    with opened_api(server, has_story=False) as opened:
        yield opened


def post(api: Api, address: str, body: dict[str, Any], role: str = "operator") -> TestResponse:
    client = api.session(role)
    return client.post(API + address, json=body, headers={"X-CSRFToken": token_of(client)})


def test_limits_are_set_with_the_version_that_was_read(own: Api) -> None:
    viewer = own.key("viewer")
    before = own.told("/budgets/", viewer)
    day, month = before["user_defaults"]["limits"]
    assert (day["window"], day["chosen"], day["limit"]) == ("day", "inherit", 5)
    assert (day["inherited_from"], day["on_exceed"], day["spent"]) == ("environment", "block", None)
    body = {"version": before["user_defaults"]["version"], "daily": "7.5", "on_exceed": "warn"}
    done = post(own, "/budgets/users/set/", body | {"reason": "more room"})
    assert (done.status_code, done.get_json()["is_in_force"]) == (200, True)
    after = own.told("/budgets/", viewer)["user_defaults"]
    assert after["version"] == done.get_json()["version"]
    day, month = after["limits"]
    assert (day["chosen"], day["limit_nano_usd"], day["on_exceed"]) == (
        "7.50",
        7_500_000_000,
        "warn",
    )
    assert month["chosen"] == "inherit"
    stale = post(own, "/budgets/users/set/", body | {"daily": "1"})
    assert (stale.status_code, stale.get_json()["error"]["code"]) == (409, "changed_meanwhile")
    back = post(own, "/budgets/users/set/", {"version": after["version"], "daily": "inherit"})
    assert back.status_code == 200


def test_limits_of_the_installation_a_user_and_a_key_are_told_and_set(own: Api) -> None:
    viewer = own.key("viewer")
    key_id = viewer.split("_")[1]
    user_id = own.told("/user/", viewer)["user_id"]
    for address, read, name in (
        ("/budgets/installation/set/", None, "monthly"),
        (f"/budgets/users/{user_id}/set/", f"/budgets/users/{user_id}/", "daily"),
        (f"/budgets/keys/{key_id}/set/", f"/budgets/keys/{key_id}/", "daily"),
    ):
        found = own.told(read, viewer) if read else own.told("/budgets/", viewer)["installation"]
        body = {"version": found["version"], name: "900"}
        assert post(own, address, body).status_code == 200
    standing = own.told(f"/budgets/keys/{key_id}/", viewer)
    assert [one["chosen"] for one in standing["limits"]] == ["900.00", "inherit"]
    assert (standing["decides"], standing["is_live"]) == ("installation_month", True)
    assert own.ask("/budgets/users/404/", viewer).status_code == 404
    assert own.ask("/budgets/keys/k0000404/", viewer).status_code == 404
    daily = {"version": found["version"], "daily": "1"}
    assert post(own, "/budgets/installation/set/", daily).status_code == 400


def test_calls_are_paused_and_go_on(own: Api) -> None:
    viewer = own.key("viewer")
    user_id = own.told("/user/", viewer)["user_id"]
    target = {"scope": "user", "user_id": user_id}
    done = post(own, "/pauses/set/", target | {"reason": "Ask Ann."})
    assert (done.status_code, done.get_json()["is_in_force"]) == (200, True)
    (pause,) = own.told("/pauses/", viewer)["pauses"]
    assert (pause["user_id"], pause["reason"]) == (user_id, "Ask Ann.")
    for was_paused in (True, False):
        assert post(own, "/pauses/lift/", target).get_json()["was_paused"] is was_paused
    assert own.told("/pauses/", viewer) == {"pauses": []}


def test_the_service_is_paused_by_administrators_alone(own: Api) -> None:
    everything = {"scope": "everything", "reason": "Keys leaked."}
    assert post(own, "/pauses/set/", everything).status_code == 403
    assert post(own, "/pauses/set/", everything, "admin").status_code == 200
    provider = {"scope": "provider", "provider": "openai", "reason": "Down."}
    assert post(own, "/pauses/set/", provider, "admin").status_code == 200
    told = own.told("/pauses/", own.key("viewer"))["pauses"]
    assert [one["scope"] for one in told] == ["everything", "provider"]
    for target in ({"scope": "everything"}, {"scope": "provider", "provider": "openai"}):
        assert post(own, "/pauses/lift/", target, "admin").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "user", "reason": "x"},
        {"scope": "everything", "user_id": 1, "reason": "x"},
        {"scope": "provider", "provider": "acme", "reason": "x"},
        {"scope": "everything", "reason": "two\nlines"},
    ],
    ids=["nobody", "both", "unknown", "lines"],
)
def test_a_pause_that_makes_no_sense_is_refused(own: Api, body: dict[str, Any]) -> None:
    assert post(own, "/pauses/set/", body, "admin").status_code == 400
    assert own.told("/pauses/", own.key("viewer")) == {"pauses": []}


def test_a_key_of_staff_only_reads(own: Api) -> None:
    headers = {"authorization": f"Bearer {own.key('admin')}"}
    for address in ("/pauses/set/", "/pauses/lift/", "/budgets/users/set/"):
        answer = own.gateway.client.post(API + address, json={}, headers=headers)
        assert answer.status_code == 403, address
    assert own.ask("/budgets/", own.key()).status_code == 403
    assert own.ask("/pauses/", own.key()).status_code == 403
