"""One number everywhere: every address gives the same sum for the same span, in every zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.tables import db
from tests.redis_servers import RedisServer
from tests.seeding import NOW
from tests.web.api_app import Api, opened_api

ZONES = ("UTC", "Asia/Kolkata", "America/Los_Angeles")


@pytest.fixture(scope="module", params=ZONES)
def zoned(request: pytest.FixtureRequest, server: RedisServer) -> Iterator[Api]:
    with opened_api(server, zone=ZoneInfo(request.param)) as opened:
        yield opened


@pytest.fixture(scope="module")
def reader(zoned: Api) -> str:
    return zoned.key("viewer")


def zone_of(api: Api) -> ZoneInfo:
    return api.gateway.services.zone


def days_back(api: Api, days: int) -> dict[str, str]:
    """A custom span that ends today, as the parameters of an address."""
    today = NOW.astimezone(zone_of(api)).date()
    first = today - timedelta(days=days - 1)
    return {"range": "custom", "from_": first.isoformat(), "to": today.isoformat()}


def booked(api: Api, since: datetime, user_id: int | None = None) -> tuple[int, int]:
    """Cost and requests as a plain sum over the hours, which no address computes in this way."""
    query = select(func.sum(UsageHour.cost_nano_usd), func.sum(UsageHour.requests)).where(
        UsageHour.hour >= since.astimezone(UTC)
    )
    if user_id is not None:
        query = query.where(UsageHour.user_id == user_id)
    with api.gateway.app.app_context():
        cost, requests = db.session.execute(query).one()
    return int(cost), int(requests)


def midnight(api: Api, days_ago: int) -> datetime:
    zone = zone_of(api)
    day = NOW.astimezone(zone).date() - timedelta(days=days_ago)
    return datetime(day.year, day.month, day.day, tzinfo=zone)


def pair(sums: dict[str, Any]) -> tuple[int, int]:
    return sums["cost_nano_usd"], sums["requests"]


@pytest.mark.parametrize("days", [1, 7, 30])
def test_every_address_has_the_sum_of_the_hours(zoned: Api, reader: str, days: int) -> None:
    expected = booked(zoned, midnight(zoned, days - 1))
    system = zoned.told("/system/", reader, days=days)
    assert (system["total_cost_nano_usd"], system["total_requests"]) == expected
    assert sum(one["cost_nano_usd"] for one in system["providers"].values()) == expected[0]
    span = days_back(zoned, days)
    models = zoned.told("/models/", reader, **span)
    assert pair(models["total"]) == expected
    assert models["total"]["tokens"] == system["total_tokens"]
    below = [model["total"] for row in models["providers"] for model in row["models"]]
    assert tuple(map(sum, zip(*map(pair, below), strict=True))) == expected
    for by in ("provider", "model"):
        series = zoned.told("/series/", reader, by=by, **span)
        assert pair(series["total"]) == expected
        points = [point for line in series["series"] for point in line["points"]]
        assert tuple(map(sum, zip(*map(pair, points), strict=True))) == expected


def test_seven_single_days_are_the_seven_days(zoned: Api, reader: str) -> None:
    today = NOW.astimezone(zone_of(zoned)).date()
    days = [(today - timedelta(days=back)).isoformat() for back in range(7)]
    single = [zoned.told("/models/", reader, range="custom", from_=d, to=d) for d in days]
    assert all(one["total"]["requests"] for one in single)
    whole = zoned.told("/system/", reader, days=7)
    assert sum(one["total"]["cost_nano_usd"] for one in single) == whole["total_cost_nano_usd"]
    assert sum(one["total"]["tokens"] for one in single) == whole["total_tokens"]
    by_day = zoned.told("/series/", reader, range="7d")
    assert len(by_day["starts"]) == 7
    of_days = [sum(line["points"][at]["cost_nano_usd"] for line in by_day["series"])
               for at in range(7)]  # fmt: skip
    assert of_days == [one["total"]["cost_nano_usd"] for one in reversed(single)]


@pytest.mark.parametrize("name", ["24h", "7d", "30d", "month"])
def test_hours_and_days_add_up_to_the_same(zoned: Api, reader: str, name: str) -> None:
    hours = zoned.told("/series/", reader, range=name, step="hour")
    assert hours["step"] == "hour"
    assert hours["total"] == zoned.told("/series/", reader, range=name)["total"]
    assert pair(hours["total"]) == pair(zoned.told("/models/", reader, range=name)["total"])
    assert len(hours["starts"]) == len(hours["series"][0]["points"])


def test_the_users_add_up_to_the_installation(zoned: Api, reader: str) -> None:
    ids = [row["user_id"] for row in zoned.told("/users/", reader, limit=200)["users"]]
    totals = [zoned.told("/users/" + f"{one}/", reader, days=7)["total"] for one in ids]
    whole = zoned.told("/system/", reader, days=7)
    assert sum(one["cost_nano_usd"] for one in totals) == whole["total_cost_nano_usd"]
    assert sum(one["tokens"] for one in totals) == whole["total_tokens"]


def test_a_user_sees_what_staff_see_of_them(zoned: Api, reader: str) -> None:
    key = zoned.gateway.make_key("amelia.stone")
    own = zoned.told("/user/", key, days=7)
    expected = booked(zoned, midnight(zoned, 6), own["user_id"])
    assert (own["total_cost_nano_usd"], own["total_requests"]) == expected
    for address in ("/series/", "/models/"):
        mine = zoned.told(address, key)
        assert mine == zoned.told(address, reader, user_id=own["user_id"])
        assert pair(mine["total"]) == expected
    profile = zoned.told(f"/users/{own['user_id']}/", key, days=7)
    assert profile == zoned.told(f"/users/{own['user_id']}/", reader, days=7)
    assert pair(profile["total"]) == expected
    assert profile["total"]["avg_latency_ms"] == own["avg_latency_ms"]


def test_the_top_is_the_order_of_today(zoned: Api, reader: str) -> None:
    top = zoned.told("/top/", reader, limit=3)["users"]
    listed = zoned.told("/users/", reader, sort="cost_today", order="desc", limit=3)["users"]
    assert [one["user_id"] for one in top] == [one["user_id"] for one in listed]
    for one in top:
        expected = booked(zoned, midnight(zoned, 0), one["user_id"])
        assert (one["cost_nano_usd"], one["requests"]) == expected


def test_spend_is_the_same_on_three_addresses(zoned: Api, reader: str) -> None:
    key = zoned.key(daily="2", monthly="3")
    zoned.spend(key, 1_700_000_001)
    user = zoned.told("/user/", key)
    limit = zoned.told("/user/spend-limit/", key)
    name = zoned.told(f"/users/{user['user_id']}/", key)
    [listed] = zoned.told("/users/", reader, search=name["username"])["users"]
    assert user["limit_status"] == name["limit_status"] == listed["limit_status"] == "warning"
    for window in ("daily", "monthly"):
        assert name[window] == listed[window]
        for what in ("spend", "limit"):
            found = {
                user[f"{window}_{what}_nano_usd"],
                limit[f"{window}_{what}_nano_usd"],
                name[window][f"{what}_nano_usd"],
            }
            assert len(found) == 1, (window, what)
        assert name[window]["percent_used"] == limit[f"{window}_percent_used"]
