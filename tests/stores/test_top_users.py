"""Who costs most, on every database that we serve."""

from datetime import datetime, timedelta

import pytest

from ai_gateway.stores.top_users import TopUsers
from tests.seeding import NOW, add_usage, add_user

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
TODAY = "2026-11-23"


@pytest.fixture
def users(sql_database: str) -> TopUsers:
    return TopUsers()


def test_the_users_of_a_day_come_by_cost_then_requests_then_id(users: TopUsers) -> None:
    ids = [add_user(name) for name in ("ann", "bob", "cem", "dee")]
    for user_id, cost, requests in zip(ids, (5, 7, 5, 5), (1, 1, 2, 1), strict=True):
        add_usage(HOUR, user_id, cost_nano_usd=cost, requests=requests)
    add_usage(HOUR - timedelta(days=1), ids[0], cost_nano_usd=100)
    found = users.of_day(TODAY, 3)
    assert [user.username for user in found] == ["bob", "cem", "ann"]
    assert (found[0].email, found[1].requests, found[2].cost) == ("bob@example.com", 2, 5)


def test_a_user_who_is_gone_keeps_the_cost_without_a_name(users: TopUsers) -> None:
    add_usage(HOUR, 99, cost_nano_usd=5)
    (user,) = users.of_day(TODAY, 10)
    assert (user.user_id, user.username, user.email, user.cost) == (99, None, None, 5)


def test_days_are_of_the_dearest_users_and_no_month_is_among_them(users: TopUsers) -> None:
    ann, bob, cem = (add_user(name) for name in ("ann", "bob", "cem"))
    # The name of November lies between those of these days.
    for days_ago, user_id, cost in ((0, ann, 5), (25, ann, 5), (0, bob, 7), (1, cem, 1)):
        add_usage(HOUR - timedelta(days=days_ago), user_id, cost_nano_usd=cost)
    found = users.by_day("2026-10-25", TODAY, 2)
    assert [(row.username, row.start, row.cost) for row in found] == [
        ("ann", "2026-10-29", 5),
        ("ann", TODAY, 5),
        ("bob", TODAY, 7),
    ]


def test_hours_end_before_their_end(users: TopUsers) -> None:
    ann = add_user("ann")
    for hours_ago in range(3):
        add_usage(HOUR - timedelta(hours=hours_ago), ann, cost_nano_usd=10**hours_ago)
    since = HOUR - timedelta(hours=1)
    assert [row.cost for row in users.by_hour(since, None, 8)] == [10, 1]
    assert [(row.start, row.cost) for row in users.by_hour(since, HOUR, 8)] == [(since, 10)]
