"""The numbers of one user as JSON: exact, in the promised shape, and nobody else's."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from ai_gateway.domain.limits import Limit, Window, window_end
from ai_gateway.stores import redis_keys
from ai_gateway.stores.meter import Denied
from ai_gateway.stores.tables import db
from tests.gateway_app import GatewayApp, credential, opened_app
from tests.money import UNLIMITED, UTC_ZONE, admitted_call, finished_call
from tests.redis_servers import RedisServer, running_redis
from tests.web.staff_app import log_in

ADDRESS = "/api/v1/ai/analytics/user/spend-limit/"
USD = 10**9
PROMISED = {
    "within_limits",
    "daily_spend",
    "daily_limit",
    "daily_remaining",
    "daily_percent_used",
    "monthly_spend",
    "monthly_limit",
    "monthly_remaining",
    "monthly_percent_used",
    "warning_message",
    "blocked",
}
"""The shape of architecture.md, section 6."""

AMOUNTS = [
    f"{window}_{what}"
    for window in ("daily", "monthly")
    for what in ("spend", "limit", "remaining")
]
NUMBERS = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture
def gateway(shared_app: GatewayApp) -> GatewayApp:
    """Nobody has spent anything of what the whole installation may spend."""
    store = shared_app.store
    for name in store.names(redis_keys._ACCOUNT):
        store.client.delete(name)
    return shared_app


def ask(gateway: GatewayApp, key: str | None, **headers: str) -> TestResponse:
    return gateway.client.get(ADDRESS, headers=credential(key) | headers)


def told(gateway: GatewayApp, key: str | None) -> dict[str, Any]:
    """The answer with every number as it is written."""
    answer = ask(gateway, key)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = json.loads(answer.text, parse_float=Decimal)
    return found


def spend(
    gateway: GatewayApp, key: str, cost: int, in_force: tuple[Limit, ...] = UNLIMITED
) -> bool:
    """Let the owner of a key spend something; False where the limits refuse it."""
    loaded = gateway.store.copies.load(key.split("_")[1])
    assert loaded is not None
    call = admitted_call(f"req_{next(NUMBERS)}", cost, record=loaded[0])
    if isinstance(gateway.store.reserve(call, in_force), Denied):
        return False
    return gateway.store.meter.settle(call, finished_call(cost))


def test_the_shape_is_the_promised_one(gateway: GatewayApp) -> None:
    body = told(gateway, gateway.make_key())
    exact = {f"{name}_nano_usd" for name in AMOUNTS}
    assert body.keys() == PROMISED | exact | {"daily_resets_at", "monthly_resets_at"}


def test_a_user_who_spent_nothing_has_all_that_is_allowed(gateway: GatewayApp) -> None:
    body = told(gateway, gateway.make_key(daily="2.50", monthly="40"))
    assert {name: body[name] for name in PROMISED} == {
        "within_limits": True,
        "daily_spend": 0,
        "daily_limit": Decimal("2.5"),
        "daily_remaining": Decimal("2.5"),
        "daily_percent_used": 0,
        "monthly_spend": 0,
        "monthly_limit": 40,
        "monthly_remaining": 40,
        "monthly_percent_used": 0,
        "warning_message": None,
        "blocked": False,
    }


def test_limits_of_the_environment_stand_where_nobody_set_one(gateway: GatewayApp) -> None:
    body = told(gateway, gateway.make_key())
    assert (body["daily_limit"], body["monthly_limit"]) == (5, 1000)


def test_what_has_no_limit_is_null(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="none", monthly="none")
    spend(gateway, key, 10_000 * USD)
    body = told(gateway, key)
    for window in ("daily", "monthly"):
        assert body[f"{window}_spend"] == 10_000
        for what in ("limit", "limit_nano_usd", "remaining", "remaining_nano_usd", "percent_used"):
            assert body[f"{window}_{what}"] is None
    assert (body["within_limits"], body["blocked"], body["warning_message"]) == (True, False, None)


def test_amounts_are_exact_to_the_last_digit(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="9000000", monthly="none")
    spend(gateway, key, 8_999_999_999_999_999)
    body = told(gateway, key)
    assert body["daily_spend"] == Decimal("8999999.999999999")
    assert body["daily_spend_nano_usd"] == 8_999_999_999_999_999
    assert body["daily_remaining"] == Decimal("0.000000001")
    assert body["daily_remaining_nano_usd"] == 1
    assert "e" not in ask(gateway, key).text.partition('"daily_spend":')[2].split(",")[0]


def test_each_amount_is_there_as_number_and_as_integer(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="1", monthly="3")
    spend(gateway, key, 123_456_789)
    body = told(gateway, key)
    for name in AMOUNTS:
        assert body[name] * USD == body[f"{name}_nano_usd"], name


@pytest.mark.parametrize(
    ("spent", "percent", "within", "warning"),
    [
        (799_999_999, "79.99", True, None),
        (800_000_000, "80", True, "You have used at least 80 % of your daily budget."),
        (999_999_999, "99.99", True, "You have used at least 80 % of your daily budget."),
        (
            1_000_000_000,
            "100",
            False,
            "Your daily budget is used up, or has no room for your last call.",
        ),
        (
            1_500_000_000,
            "150",
            False,
            "Your daily budget is used up, or has no room for your last call.",
        ),
    ],
)
def test_state_follows_the_spend(
    gateway: GatewayApp, *, spent: int, percent: str, within: bool, warning: str | None
) -> None:
    key = gateway.make_key(daily="1")
    spend(gateway, key, spent)
    body = told(gateway, key)
    assert body["daily_percent_used"] == Decimal(percent)
    assert (body["within_limits"], body["blocked"]) == (within, not within)
    assert body["warning_message"] == warning
    assert body["daily_remaining_nano_usd"] == max(0, USD - spent)


def test_the_month_warns_where_the_day_does_not(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="none", monthly="1")
    spend(gateway, key, 900_000_000)
    body = told(gateway, key)
    assert body["warning_message"] == "You have used at least 80 % of your monthly budget."
    assert body["within_limits"] is True


def test_what_is_used_up_is_told_before_what_is_nearly(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="1", monthly="0.85")
    spend(gateway, key, 850_000_000)
    assert told(gateway, key)["warning_message"].startswith("Your monthly budget is used up")


def test_a_limit_of_nothing_is_used_up(gateway: GatewayApp) -> None:
    body = told(gateway, gateway.make_key(daily="0"))
    assert (body["daily_percent_used"], body["daily_remaining"]) == (100, 0)
    assert (body["blocked"], body["within_limits"]) == (True, False)


def test_whoever_was_refused_is_blocked_until_the_next_success(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="0.000001")
    assert gateway.call(key).status_code == 429
    body = told(gateway, key)
    assert (body["daily_spend"], body["blocked"]) == (0, True)
    assert spend(gateway, key, 1)
    assert told(gateway, key)["blocked"] is False


def test_a_running_call_is_no_spend_yet(gateway: GatewayApp) -> None:
    key = gateway.make_key(daily="1")
    loaded = gateway.store.copies.load(key.split("_")[1])
    assert loaded is not None
    gateway.store.reserve(admitted_call(f"req_{next(NUMBERS)}", USD, record=loaded[0]))
    assert told(gateway, key)["daily_spend"] == 0


def test_windows_end_in_the_reporting_zone(gateway: GatewayApp) -> None:
    before = datetime.now(UTC)
    body = told(gateway, gateway.make_key())
    for name, window in (("daily", Window.DAY), ("monthly", Window.MONTH)):
        found = datetime.fromisoformat(body[f"{name}_resets_at"])
        ends = {window_end(window, moment, UTC_ZONE) for moment in (before, datetime.now(UTC))}
        assert found in ends
        assert timedelta(0) < found - before


class TestWhose:
    """Nobody sees the figures of another."""

    def test_two_users_see_their_own(self, gateway: GatewayApp) -> None:
        ann, ben = gateway.make_key(daily="1"), gateway.make_key(daily="2")
        spend(gateway, ann, 111)
        spend(gateway, ben, 222)
        for key, spent, limit in ((ann, 111, 1), (ben, 222, 2), (ann, 111, 1)):
            body = told(gateway, key)
            assert (body["daily_spend_nano_usd"], body["daily_limit"]) == (spent, limit)

    def test_two_keys_of_one_user_see_the_same(self, gateway: GatewayApp) -> None:
        name = gateway.make_user()
        first, second = gateway.make_key(name), gateway.make_key(name)
        spend(gateway, first, 111)
        assert told(gateway, first) == told(gateway, second)

    @pytest.mark.parametrize("query", ["user_id=1", "user=1", "id=1", "api_key=x"])
    def test_the_address_names_nobody_else(self, gateway: GatewayApp, query: str) -> None:
        key = gateway.make_key()
        spend(gateway, key, 333)
        answer = gateway.client.get(f"{ADDRESS}?{query}", headers=credential(key))
        assert answer.status_code == 400
        assert answer.json is not None
        assert answer.json["error"]["param"] == query.partition("=")[0]

    def test_whoever_is_logged_in_sees_their_own(self, gateway: GatewayApp) -> None:
        name = gateway.make_staff()
        spend(gateway, gateway.make_key(name), 444)
        client = gateway.app.test_client()
        log_in(client, name)
        answer = client.get(ADDRESS)
        assert answer.json is not None
        assert answer.json["daily_spend_nano_usd"] == 444

    def test_a_key_counts_before_a_session(self, gateway: GatewayApp) -> None:
        name = gateway.make_staff()
        other = gateway.make_key()
        spend(gateway, other, 555)
        client = gateway.app.test_client()
        log_in(client, name)
        answer = client.get(ADDRESS, headers=credential(other))
        assert answer.json is not None
        assert answer.json["daily_spend_nano_usd"] == 555

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"authorization": "Bearer "},
            {"authorization": "Bearer sk-1"},
            {"x-api-key": "agw_aaaaaaaa_b"},
            {"authorization": "Basic YTpi"},
            {"cookie": "ai_gateway=forged"},
        ],
        ids=str,
    )
    def test_strangers_are_refused(self, gateway: GatewayApp, headers: dict[str, str]) -> None:
        answer = gateway.app.test_client().get(ADDRESS, headers=headers)
        assert answer.status_code == 401
        assert answer.json is not None
        assert answer.json["error"]["code"] == "invalid_api_key"

    def test_a_wrong_key_is_refused_even_with_a_session(self, gateway: GatewayApp) -> None:
        name = gateway.make_staff()
        client = gateway.app.test_client()
        log_in(client, name)
        assert client.get(ADDRESS, headers={"x-api-key": "sk-1"}).status_code == 401

    def test_a_revoked_key_is_refused_at_once(self, gateway: GatewayApp) -> None:
        key = gateway.make_key()
        assert ask(gateway, key).status_code == 200
        assert gateway.flask("key", "revoke", key.split("_")[1]).exit_code == 0
        assert ask(gateway, key).status_code == 401

    def test_two_different_keys_are_refused(self, gateway: GatewayApp) -> None:
        answer = ask(gateway, gateway.make_key(), **{"x-api-key": gateway.make_key()})
        assert answer.status_code == 400


def test_nobody_may_keep_the_answer(gateway: GatewayApp) -> None:
    for key in (gateway.make_key(), None):
        assert ask(gateway, key).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_it_is_only_read(gateway: GatewayApp, method: str) -> None:
    answer = gateway.client.open(ADDRESS, method=method, headers=credential(gateway.make_key()))
    assert answer.status_code == 405
    assert answer.json is not None


def test_a_database_that_is_away_is_told_as_json(server: RedisServer) -> None:
    with opened_app(server) as gateway:
        key = gateway.make_key()
        with gateway.app.app_context(), db.engine.begin() as connection:
            connection.execute(text("ALTER TABLE spend_limit RENAME TO hidden"))
        answer = ask(gateway, key)
        gateway.open()
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["error"]["code"] == "gateway_unavailable"
    assert "spend_limit" not in answer.text


def test_a_redis_that_is_away_is_told_as_json() -> None:
    with running_redis() as own_server, opened_app(own_server) as gateway:
        key = gateway.make_key()
        own_server.stop()
        answer = ask(gateway, key)
        own_server.start()
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["error"]["code"] == "budget_unavailable"
    assert answer.headers["retry-after"] == "2"
