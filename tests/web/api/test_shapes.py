"""The five promised shapes, field for field, and the figures in them."""

from decimal import Decimal

import pytest

from tests.seeding import NOW
from tests.web.api_app import USD, Api

USER = {
    "user_id", "period_days", "total_cost_usd", "total_tokens", "total_requests",
    "avg_latency_ms", "avg_cost_per_request", "daily_spend", "monthly_spend", "daily_limit",
    "monthly_limit", "limit_status",
}  # fmt: skip
USER_AMOUNTS = {
    "total_cost_usd", "avg_cost_per_request", "daily_spend", "monthly_spend", "daily_limit",
    "monthly_limit",
}  # fmt: skip
SYSTEM = {
    "period_days", "total_cost_usd", "total_tokens", "total_requests", "error_count", "error_rate",
    "avg_cost_per_request", "providers",
}  # fmt: skip
SYSTEM_AMOUNTS = {"total_cost_usd", "avg_cost_per_request"}
RESET = {"message", "user_id", "reset_date"}
HEALTH = {"enabled", "project", "endpoint", "connected", "error"}


def beside(amount: str) -> str:
    return f"{amount.removesuffix('_usd')}_nano_usd"


@pytest.fixture(scope="module")
def amelia(api: Api) -> str:
    """The key of somebody with a history."""
    return api.gateway.make_key("amelia.stone")


def test_the_usage_of_a_user_has_the_promised_fields(api: Api, amelia: str) -> None:
    body = api.told("/user/", amelia)
    assert body.keys() == USER | {beside(amount) for amount in USER_AMOUNTS}
    for amount in USER_AMOUNTS:
        assert body[amount] * USD == body[beside(amount)], amount


def test_the_system_has_the_promised_fields(api: Api, viewer: str) -> None:
    body = api.told("/system/", viewer)
    assert body.keys() == SYSTEM | {beside(amount) for amount in SYSTEM_AMOUNTS}
    assert body["providers"].keys() == {"anthropic", "openai", "lab"}
    for provider in body["providers"].values():
        assert provider.keys() == {"cost", "cost_nano_usd", "requests"}
        assert provider["cost"] * USD == provider["cost_nano_usd"]


def test_tracing_that_is_off_says_so(api: Api, viewer: str) -> None:
    body = api.told("/langsmith/health/", viewer)
    assert body.keys() == HEALTH
    assert (body["enabled"], body["connected"], body["error"]) == (False, False, None)


def test_a_reset_has_the_promised_fields(api: Api) -> None:
    from_page = api.session("operator")
    page = from_page.get("/admin/ai-analytics/").text
    token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
    answer = from_page.post(
        "/api/v1/ai/analytics/user/1/reset/",
        json={"reason": "a test"},
        headers={"x-csrftoken": token},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json is not None
    assert answer.json.keys() == RESET
    assert answer.json["reset_date"] == NOW.isoformat()


@pytest.mark.parametrize(("address", "days"), [("/user/", 30), ("/system/", 7)])
def test_the_days_that_are_not_named_have_a_default(
    api: Api, viewer: str, address: str, days: int
) -> None:
    assert api.told(address, viewer) == api.told(address, viewer, days=days)
    assert api.told(address, viewer, days=days)["period_days"] == days


def test_averages_are_the_totals_divided(api: Api, viewer: str) -> None:
    body = api.told("/system/", viewer)
    average = Decimal(body["total_cost_nano_usd"]) / body["total_requests"]
    assert body["avg_cost_per_request_nano_usd"] == round(average)
    rate = Decimal(body["error_count"]) * 100 / body["total_requests"]
    assert abs(body["error_rate"] - rate) <= Decimal("0.00005")
    assert 1 < body["error_rate"] < 2, "percent"


def test_without_a_request_there_is_no_average(api: Api, viewer: str) -> None:
    body = api.told("/user/", viewer)
    assert (body["total_requests"], body["total_cost_nano_usd"]) == (0, 0)
    assert body["avg_latency_ms"] is None
    assert body["avg_cost_per_request"] is None
    assert body["avg_cost_per_request_nano_usd"] is None


@pytest.mark.parametrize(
    ("spent", "status"), [(79, "ok"), (80, "warning"), (99, "warning"), (100, "exceeded")]
)
def test_the_status_is_the_worse_of_both_budgets(api: Api, spent: int, status: str) -> None:
    for limits in ({"daily": "1", "monthly": "500"}, {"daily": "500", "monthly": "1"}):
        key = api.key(**limits)
        api.spend(key, spent * USD // 100)
        body = api.told("/user/", key)
        assert body["limit_status"] == status
        assert body["daily_spend_nano_usd"] == body["monthly_spend_nano_usd"] == spent * USD // 100


def test_what_has_no_limit_is_null_and_ok(api: Api) -> None:
    body = api.told("/user/", api.key(daily="none", monthly="none"))
    assert body["daily_limit"] is body["monthly_limit"] is body["daily_limit_nano_usd"] is None
    assert body["limit_status"] == "ok"
