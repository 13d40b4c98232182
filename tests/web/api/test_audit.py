"""The audit as programs read it: whole, page by page, never written."""

from typing import Any

import pytest

from ai_gateway.domain.audit import Action, Actor, Change, Result, user_target
from ai_gateway.domain.roles import Role
from tests.web.api_app import API, Api

AUDIT = "/audit/"


@pytest.fixture(scope="module")
def actor(api: Api) -> str:
    """Somebody who did seven things in the last moment, two of them in vain."""
    ann = Actor(77, "ann.audit", Role.OPERATOR, "192.0.2.7", request_id="req_77")
    for number in range(7):
        with api.gateway.app.app_context():
            api.gateway.services.audit.record(
                Action.SPEND_RESET,
                ann,
                user_target(number + 1, "whoever"),
                Change({"day": number}, {"day": 0, "secret": "hunter2"}, "quarter end"),
                Result.FAILED if number in {2, 5} else Result.OK,
            )
    return ann.name


def days(entries: list[dict[str, Any]]) -> list[int]:
    return [entry["before"]["day"] for entry in entries]


def test_an_entry_is_whole_and_its_secrets_are_masked(api: Api, viewer: str, actor: str) -> None:
    entry = api.told(AUDIT, viewer, actor=actor, limit=1)["entries"][0]
    assert entry.pop("entry") > 0
    assert entry == {
        "at": "2026-11-23T07:10:05+00:00",
        "actor_id": 77,
        "actor": "ann.audit",
        "role": "operator",
        "address": "192.0.2.7",
        "action": "spend_reset",
        "target_kind": "user",
        "target_id": "7",
        "target": "whoever",
        "before": {"day": 6},
        "after": {"day": 0, "secret": "***"},
        "reason": "quarter end",
        "request_id": "req_77",
        "result": "ok",
    }


def test_pages_go_back_in_time_and_show_each_entry_once(api: Api, viewer: str, actor: str) -> None:
    seen, query = [], {"actor": actor, "limit": 3}
    while True:
        answer = api.told(AUDIT, viewer, **query)
        seen += days(answer["entries"])
        if answer["next_cursor"] is None:
            break
        query["cursor"] = answer["next_cursor"]
    assert seen == [6, 5, 4, 3, 2, 1, 0]


def test_filters_narrow_and_a_cursor_belongs_to_them(api: Api, viewer: str, actor: str) -> None:
    failed = api.told(AUDIT, viewer, actor=actor, result="failed")
    assert days(failed["entries"]) == [5, 2]
    assert days(api.told(AUDIT, viewer, actor=actor, target="user:3")["entries"]) == [2]
    assert api.told(AUDIT, viewer, actor=actor, action="pause")["entries"] == []
    past = {"range": "custom", "from_": "2026-11-01", "to": "2026-11-02"}
    assert api.told(AUDIT, viewer, actor=actor, **past)["entries"] == []
    cursor = api.told(AUDIT, viewer, actor=actor, limit=1)["next_cursor"]
    assert api.refused(AUDIT, viewer, cursor=cursor)[1:] == ("invalid_request", "cursor")
    assert api.refused(AUDIT, viewer, action="nonsense")[1:] == ("invalid_request", "action")


def test_nobody_writes_it(api: Api) -> None:
    client = api.session("admin")
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.open(API + AUDIT, method=method).status_code == 405
