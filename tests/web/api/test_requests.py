"""Requests for programs: everybody's own, the same words as the command, and nothing of others."""

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.web.api_app import API, Api


@pytest.fixture(scope="module")
def amelia(api: Api) -> str:
    return api.gateway.make_key("amelia.stone")


@pytest.fixture(scope="module")
def ben(api: Api) -> str:
    return api.gateway.make_key("ben.okafor")


def ids(answer: dict[str, Any]) -> list[str]:
    return [call["request_id"] for call in answer["calls"]]


def explained(api: Api, request_id: str) -> Any:
    """What the command says of the request."""
    done = api.gateway.flask("ledger", "explain", request_id, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_float=Decimal)


def test_each_sees_only_own_requests(api: Api, amelia: str, ben: str, viewer: str) -> None:
    everything = ids(api.told("/requests/", viewer, range="30d", limit=200))
    own = {key: ids(api.told("/requests/", key, range="30d")) for key in (amelia, ben)}
    assert own[amelia]
    assert not set(own[amelia]) & set(own[ben])
    for key, mine in own.items():
        for request_id in everything:
            answer = api.ask(f"/requests/{request_id}/", key)
            assert answer.status_code == (200 if request_id in mine else 404)
            assert api.ask(f"/refusals/{request_id}/", key).status_code == 404
    other = api.id_of(ben)
    for address in ("/requests/", "/refusals/"):
        assert api.refused(address, amelia, user_id=other) == (403, "not_permitted", "")
    assert api.refused("/requests/req_of_nobody/", amelia) == (404, "request_not_found", "")


def test_refusals_are_of_their_user_alone(api: Api, amelia: str, ben: str, viewer: str) -> None:
    told = api.told("/refusals/", ben)["refusals"]
    assert [one["request_id"] for one in told] == ["req_refused_3", "req_refused_16"]
    assert api.told("/refusals/", amelia)["refusals"] == []
    assert api.told("/refusals/", viewer, reason="user_day")["refusals"] == told
    for request_id in ("req_refused_3", "req_refused_16"):
        assert api.ask(f"/refusals/{request_id}/", ben).status_code == 200
        assert api.refused(f"/refusals/{request_id}/", amelia)[0] == 404
        assert api.refused(f"/requests/{request_id}/", ben)[0] == 404


@pytest.mark.parametrize("request_id", ["req_0000", "req_0006", "req_0009"])
def test_the_command_and_the_api_explain_a_charge_alike(
    api: Api, viewer: str, request_id: str
) -> None:
    told = api.told(f"/requests/{request_id}/", viewer)
    assert explained(api, request_id) == told
    assert told["is_worked_out"]
    assert sum(line["pico_usd"] for line in told["lines"]) == told["sum_pico_usd"]
    assert told["cost_usd"] * 10**9 == told["cost_nano_usd"]


def test_the_command_and_the_api_explain_a_refusal_alike(api: Api, viewer: str) -> None:
    told = api.told("/refusals/req_refused_3/", viewer)
    assert explained(api, "req_refused_3") == told
    budget = told["budget"]
    assert budget["room_nano_usd"] + budget["lacking_nano_usd"] == budget["needed_nano_usd"]


@pytest.mark.parametrize(
    ("query", "is_meant"),
    [
        ({"outcome": "failed"}, lambda call: call["outcome"].startswith("upstream")),
        ({"provider": "lab"}, lambda call: call["provider"] == "lab"),
        ({"model": "gpt-4.1"}, lambda call: call["model"] == "gpt-4.1"),
        ({"min_cost_usd": "0.01"}, lambda call: call["cost_nano_usd"] >= 10**7),
        ({"min_latency_ms": 5000}, lambda call: call["latency_ms"] >= 5000),
        ({"unpriced": "true"}, lambda call: call["price_status"] == "unpriced"),
        ({"stream": "true"}, lambda call: call["stream"]),
        ({"served_model": "nothing"}, lambda _: False),
    ],
    ids=lambda one: next(iter(one), None) if isinstance(one, dict) else "",
)
def test_the_list_is_narrowed_as_asked(
    api: Api, viewer: str, query: dict[str, Any], is_meant: Any
) -> None:
    everything = api.told("/requests/", viewer, range="30d", limit=200)
    assert len(everything["calls"]) == 24
    wanted = [call for call in everything["calls"] if is_meant(call)]
    assert api.told("/requests/", viewer, range="30d", limit=200, **query)["calls"] == wanted


def test_cursors_lead_through_all_and_belong_to_their_filters(api: Api, viewer: str) -> None:
    everything = ids(api.told("/requests/", viewer, range="30d", limit=200))
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.told("/requests/", viewer, range="30d", limit=7, **cursor)
        seen += ids(page)
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == everything
    assert api.refused("/requests/", viewer, range="7d", **cursor)[2] == "cursor"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("outcome", "odd"),
        ("min_cost_usd", "much"),
        ("min_latency_ms", "-1"),
        ("key_id", "'--"),
        ("stream", "perhaps"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(
    api: Api, viewer: str, name: str, value: str
) -> None:
    assert api.refused("/requests/", viewer, **{name: value}) == (400, "invalid_request", name)


def test_the_command_tells_a_person_and_steers_no_terminal(api: Api) -> None:
    told = api.gateway.flask("ledger", "explain", "req_0000")
    assert told.exit_code == 0
    assert "req_0000: success" in told.stdout
    assert "pico-USD" in told.stdout
    refused = api.gateway.flask("ledger", "explain", "req_refused_3")
    assert "nothing was sent and nothing charged" in refused.stdout
    missing = api.gateway.flask("ledger", "explain", "\x1b[31mnobody")
    assert missing.exit_code == 1
    assert "\x1b" not in missing.output


def test_staff_may_look_by_a_session_too(api: Api) -> None:
    assert api.session("viewer").get(f"{API}/requests/req_0000/").status_code == 200
    assert api.session().get(f"{API}/requests/req_0000/").status_code == 404
