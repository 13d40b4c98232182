"""Who costs most, on every database that we serve."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from ai_gateway.stores.tables import db
from ai_gateway.stores.top_users import DaySpan, TopUsers
from tests.seeding import NOW, UTC_ZONE, MadeHour, add_made, add_usage, add_user
from tests.sql_database import opened, sqlite_url

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
TODAY = "2026-11-23"
NOVEMBER = DaySpan(date(2026, 11, 1), NOW.date(), is_running=True)


@contextmanager
def explained_statements() -> Iterator[list[str]]:
    """Collect how SQLite goes about each statement."""
    plans: list[str] = []

    def explain(connection: Connection, _: object, text: str, values: Any, *_rest: object) -> None:
        if text.startswith("SELECT"):
            cursor = connection.connection.cursor()
            cursor.execute(f"EXPLAIN QUERY PLAN {text}", values)
            plans.append("; ".join(row[-1] for row in cursor.fetchall()))

    event.listen(db.engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(db.engine, "before_cursor_execute", explain)


def _sums(cost: int) -> dict[str, int]:
    return {"requests": 1, "cost_nano_usd": cost}


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
    found = users.by_day(DaySpan(date(2026, 10, 25), NOW.date(), is_running=True), 2)
    assert [(row.username, row.start, row.cost) for row in found] == [
        ("ann", "2026-10-29", 5),
        ("ann", TODAY, 5),
        ("bob", TODAY, 7),
    ]


@pytest.mark.parametrize(
    ("span", "months", "parts"),
    [
        (NOVEMBER, ["2026-11"], []),
        (replace(NOVEMBER, is_running=False), [], [("2026-11-01", "2026-11-23")]),
        (
            DaySpan(date(2026, 9, 12), date(2026, 11, 30), is_running=False),
            ["2026-10", "2026-11"],
            [("2026-09-12", "2026-09-30")],
        ),
        (
            DaySpan(date(2026, 12, 31), date(2027, 1, 1), is_running=False),
            [],
            [("2026-12-31", "2026-12-31"), ("2027-01-01", "2027-01-01")],
        ),
    ],
)
def test_a_span_is_cut_into_whole_months_and_days(
    span: DaySpan, months: list[str], parts: list[tuple[str, str]]
) -> None:
    assert span.pieces() == (months, parts)


@pytest.mark.parametrize("days_ago", [(30, 0), (60, 0), (75, 3), (54, 23), (22, 2)])
def test_the_dearest_of_a_span_are_so_by_its_days_alone(
    users: TopUsers, days_ago: tuple[int, int]
) -> None:
    chance = random.Random(7)
    ids = [add_user(name) for name in ("ann", "bob", "cem", "dee", "eve")]
    made = [(day, user_id, chance.randint(1, 99)) for day in range(80) for user_id in ids]
    hours = [
        MadeHour(HOUR - timedelta(days=day), user_id, "openai", "gpt-4o-mini", _sums(cost))
        for day, user_id, cost in made
    ]
    add_made(hours, UTC_ZONE)
    first, last = days_ago
    costs = dict.fromkeys(ids, 0)
    for day, user_id, cost in made:
        costs[user_id] += cost if last <= day <= first else 0
    dearest = sorted(ids, key=lambda user_id: (-costs[user_id], user_id))[:3]
    since, until = (NOW.date() - timedelta(days=day) for day in days_ago)
    span = DaySpan(since, until, is_running=last == 0)
    found = users.by_day(span, 3)
    assert {row.user_id for row in found} == set(dearest)
    assert sum(row.cost for row in found) == sum(costs[user_id] for user_id in dearest)


def test_days_of_who_is_gone_are_nobodys(users: TopUsers) -> None:
    ann = add_user("ann")
    for user_id in (99, ann):
        add_usage(HOUR, user_id, cost_nano_usd=user_id)
    assert [row.user_id for row in users.by_day(NOVEMBER, 1)] == [ann]
    assert [row.username for row in users.by_hour(HOUR, None, 1)] == [None]


def test_sqlite_goes_through_no_more_than_was_asked_for(tmp_path: Path) -> None:
    users = TopUsers()
    with opened(sqlite_url(tmp_path)), explained_statements() as plans:
        users.of_day(TODAY, 8)
        users.by_day(NOVEMBER, 8)
        users.by_hour(HOUR, None, 8)
    assert any("account_total USING INDEX ix_account_total_window (window_id=?" in p for p in plans)
    assert not [p for p in plans if "SCAN usage_hour" in p or "PRIMARY KEY (scope=?)" in p]


def test_hours_end_before_their_end(users: TopUsers) -> None:
    ann = add_user("ann")
    for hours_ago in range(3):
        add_usage(HOUR - timedelta(hours=hours_ago), ann, cost_nano_usd=10**hours_ago)
    since = HOUR - timedelta(hours=1)
    assert [row.cost for row in users.by_hour(since, None, 8)] == [10, 1]
    assert [(row.start, row.cost) for row in users.by_hour(since, HOUR, 8)] == [(since, 10)]
