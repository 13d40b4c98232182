"""Prices for programs: read by key, changed by session, the same as the page says."""

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.redis_servers import RedisServer
from tests.web.api.test_reset import token_of
from tests.web.api_app import API, Api, opened_api

BODY = {"provider": "openai", "model": "gpt-4o", "input": "0", "output": "1", "reason": "why"}


@pytest.fixture(scope="module")
def own(server: RedisServer) -> Iterator[Api]:
    """One whose prices may be changed."""
    with opened_api(server, has_story=False) as opened:
        yield opened


def post(
    api: Api, address: str, body: dict[str, Any], role: str = "admin", **headers: str
) -> TestResponse:
    client = api.session(role)
    sent = {"X-CSRFToken": token_of(client), **headers}
    return client.post(API + address, json=body, headers=sent)


def test_prices_are_listed_page_by_page(api: Api, viewer: str) -> None:
    found: list[str] = []
    query: dict[str, object] = {"provider": "openai", "limit": 50}
    while True:
        page = api.told("/prices/", viewer, **query)
        found += [one["model"] for one in page["prices"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert len(found) == len(set(found)) > 100
    (one,) = api.told("/prices/", viewer, search="openai gpt-4o-mini", limit=1)["prices"]
    assert one["tiers"][0]["usd_per_million_tokens"]["cached_input"] == "0.075"
    assert (one["status"], one["source"], one["max_output_tokens"]) == ("priced", "list", 16384)


def test_cost_is_what_a_call_would_pay(api: Api, viewer: str) -> None:
    query = {"model": "gpt-4o-mini", "input_tokens": 1003, "cached_input_tokens": 1000}
    found = api.told("/prices/cost/", viewer, **query, output_tokens=77)
    assert (found["cost_nano_usd"], found["sum_pico"]) == (121_650, 121_650_000)
    assert [line["exact_pico"] for line in found["lines"]] == [450_000, 75_000_000, 46_200_000]
    assert api.refused("/prices/cost/", viewer, model="unheard-of")[1:] == (
        "invalid_request",
        "model",
    )
    wrong = api.refused("/prices/cost/", viewer, model="gpt-4o-mini", cached_input_tokens=1)
    assert wrong[1:] == ("invalid_request", "input_tokens")


def test_user_without_a_role_sees_no_price(api: Api) -> None:
    assert api.ask("/prices/", api.key()).status_code == 403


def test_price_is_set_once_and_withdrawn(own: Api) -> None:
    answers = [post(own, "/prices/set/", BODY, **{"Idempotency-Key": "one"}) for _ in range(2)]
    first, again = (answer.json for answer in answers)
    assert first is not None
    assert first == again
    assert first["is_published"] is True
    key = own.key("viewer")
    (shown,) = own.told("/prices/", key, source="entered")["prices"]
    assert shown["price_row"] == f"entered/{first['entry_id']}/openai/gpt-4o"
    gone = {name: BODY[name] for name in ("provider", "model", "reason")}
    own.clock.now = own.clock.now.replace(second=30)
    assert post(own, "/prices/withdraw/", gone | {"entry_id": first["entry_id"]}).status_code == 200
    assert own.told("/prices/", key, source="entered")["prices"] == []


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"effective_from": "2020-01-01T00:00:00Z"}, "effective_from"),
        ({"effective_from": "2030-01-01T00:00:00"}, "effective_from"),
        ({"input": 1.5}, "input"),
        ({"input": "1e3"}, "input"),
        ({"provider": "nobody"}, "provider"),
        ({"reason": " "}, "reason"),
    ],
)
def test_order_that_makes_no_sense_is_refused(
    own: Api, changed: dict[str, Any], param: str
) -> None:
    answer = post(own, "/prices/set/", BODY | changed)
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["param"]) == (400, param)


@pytest.mark.parametrize("address", ["/prices/set/", "/prices/withdraw/"])
def test_only_administrators_with_a_session_change_prices(own: Api, address: str) -> None:
    assert post(own, address, BODY, "operator").status_code == 403
    by_key = own.gateway.client.post(
        API + address, json=BODY, headers={"Authorization": f"Bearer {own.key('admin')}"}
    )
    assert by_key.status_code == 403
    assert own.session("admin").post(API + address, json=BODY).status_code == 400
