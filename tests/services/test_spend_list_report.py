"""The list of users, from rows to what is shown."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from ai_gateway.domain.limits import (
    NO_LIMIT,
    Account,
    BudgetState,
    Limit,
    LimitKind,
    Scope,
    Window,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import EVERYBODY, Selection, SpendFilter, SpendSort
from ai_gateway.services.budget_view import BudgetWindows
from ai_gateway.services.live_budgets import LiveBudgets
from ai_gateway.services.spend_list_report import SpendListReport, UserSpendQuery
from ai_gateway.stores import redis_keys
from ai_gateway.stores.budget_use import BudgetUseStore, UserBatches
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.redis_client import connect
from ai_gateway.stores.tables import db
from tests.redis_servers import RedisServer
from tests.seeding import (
    DEFAULTS,
    NOW,
    UTC_ZONE,
    add_account,
    add_limit,
    add_usage,
    add_user,
    amount,
    seed_story,
    usd,
)
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import NO_REDIS, SetClock, publish_counters

DAY, MONTH = "2026-11-23", "2026-11"


@pytest.fixture(autouse=True)
def database(tmp_path: Path) -> Iterator[None]:
    with opened(sqlite_url(tmp_path)):
        yield


@pytest.fixture
def report() -> SpendListReport:
    return _report()


def _report(
    zone: ZoneInfo = UTC_ZONE, defaults: dict[tuple[Scope, Window], Limit] | None = None
) -> SpendListReport:
    """By the database alone: nobody answers at its Redis."""
    return _report_on(connect(NO_REDIS), zone, DEFAULTS if defaults is None else defaults)


def _report_on(
    client: "redis.Redis", zone: ZoneInfo, defaults: dict[tuple[Scope, Window], Limit]
) -> SpendListReport:
    return SpendListReport(
        BudgetUseStore(),
        UserBatches(db.engine, rows_at_once=2),
        windows=BudgetWindows(zone, defaults),
        live=LiveBudgets(LiveCounters(client)),
        clock=SetClock(),
    )


@pytest.mark.parametrize(
    ("spent", "limit", "percent", "state"),
    [
        (7999, amount(10_000), 79, BudgetState.OK),
        (8000, amount(10_000), 80, BudgetState.WARNING),
        (9999, amount(10_000), 99, BudgetState.WARNING),
        (10_000, amount(10_000), 100, BudgetState.EXCEEDED),
        (12_345, amount(10_000), 123, BudgetState.EXCEEDED),
        (0, amount(0), 100, BudgetState.EXCEEDED),
        (5, Limit(LimitKind.NONE), None, BudgetState.OK),
    ],
)
def test_a_percent_is_floored_and_agrees_with_the_state(
    spent: int, limit: Limit, percent: int | None, state: BudgetState
) -> None:
    user_id = add_user("ann")
    add_account(DAY, spent, user_id=user_id)
    add_limit(Window.DAY, limit, user_id=user_id)
    daily = _report().page(UserSpendQuery()).rows[0].daily
    assert (daily.percent, daily.state) == (percent, state)
    assert not daily.is_refused_below_limit


def test_a_refusal_below_the_limit_is_exceeded_and_says_why(report: SpendListReport) -> None:
    user_id = add_user("ann")
    add_account(DAY, usd("24.25"), user_id=user_id, is_refused=True)
    daily = report.page(UserSpendQuery()).rows[0].daily
    assert (daily.percent, daily.state) == (97, BudgetState.EXCEEDED)
    assert daily.is_refused_below_limit


def test_environment_limits_hold_where_staff_set_none(report: SpendListReport) -> None:
    add_user("ann")
    (ann,) = report.page(UserSpendQuery()).rows
    assert (ann.daily.limit, ann.monthly.limit) == (amount(usd("25")), amount(usd("500")))


def test_a_budget_that_the_environment_does_not_name_has_no_limit() -> None:
    add_user("ann")
    report = _report(defaults={})
    (ann,) = report.page(UserSpendQuery()).rows
    assert (ann.daily.limit, ann.monthly.percent) == (NO_LIMIT, None)


@pytest.mark.parametrize(
    ("page", "answered", "first", "last"),
    [(1, 1, 1, 25), (2, 2, 26, 27), (10**9, 2, 26, 27), (0, 1, 1, 25), (-1, 1, 1, 25)],
)
def test_a_page_that_is_not_there_becomes_the_nearest(
    report: SpendListReport, page: int, answered: int, first: int, last: int
) -> None:
    for number in range(27):
        add_user(f"user{number:02}")
    query = UserSpendQuery(page=page, page_size=25, sort=SpendSort.USER, is_descending=False)
    shown = report.page(query)
    assert (shown.query.page, shown.first, shown.last, shown.pages) == (answered, first, last, 2)


def test_no_users_make_one_empty_page(report: SpendListReport) -> None:
    shown = report.page(UserSpendQuery(Selection(search="nobody")))
    assert (shown.total, shown.pages, shown.first, shown.last) == (0, 1, 0, 0)


def test_filters_count_what_they_show(report: SpendListReport) -> None:
    seed_story()
    for window in Window:
        add_limit(window, Limit(LimitKind.NONE), user_id=add_user(f"free {window}"))
        add_limit(window, Limit(LimitKind.NONE), user_id=add_user(f"free of {window} alone"))
    seen = {}
    for chosen in SpendFilter:
        shown = report.page(UserSpendQuery(Selection(chosen), page_size=100))
        assert shown.total == len(shown.rows) > 0
        seen[chosen] = {row.state for row in shown.rows}
    assert seen[SpendFilter.EXCEEDED] == {BudgetState.EXCEEDED}
    assert seen[SpendFilter.WARNING] == {BudgetState.WARNING, BudgetState.EXCEEDED}


def test_windows_reset_at_the_end_of_the_local_day_and_month() -> None:
    shown = _report(ZoneInfo("Asia/Kolkata")).page(UserSpendQuery())
    assert shown.moment.day_resets_at == datetime(2026, 11, 23, 18, 30, tzinfo=NOW.tzinfo)
    assert shown.moment.month_resets_at == datetime(2026, 11, 30, 18, 30, tzinfo=NOW.tzinfo)


def test_every_page_of_users_needs_the_same_few_statements(report: SpendListReport) -> None:
    for number in range(60):
        add_user(f"user{number}")
    numbers = []
    query = UserSpendQuery(Selection(search="user"), page_size=25)
    for page in (1, 2, 3):
        with counted_statements() as sent:
            report.page(replace(query, page=page))
        numbers.append(len(sent))
    assert numbers == [3, 3, 3]


def _count(client: "redis.Redis", user_id: int, window: str, spent: int, **marks: str) -> None:
    kind = Window.DAY if window == DAY else Window.MONTH
    name = redis_keys.account(Account(Scope.USER, user_id, kind, window))
    fields: Any = {"spent": spent, "held": 0, **marks}
    client.hset(name, mapping=fields)


def test_the_counters_of_this_moment_stand_before_the_database(
    redis_server: RedisServer, redis_client: "redis.Redis"
) -> None:
    ann, ben = add_user("ann"), add_user("ben")
    add_account(DAY, usd("5"), user_id=ann, is_refused=True)
    publish_counters(redis_server.url, db.engine)
    _count(redis_client, ann, DAY, usd("1"), refused="0")
    _count(redis_client, ben, DAY, usd("24"), refused="1")
    report = _report_on(redis_client, UTC_ZONE, DEFAULTS)
    page = report.page(UserSpendQuery(sort=SpendSort.USER, is_descending=False))
    assert page.is_live
    assert [row.daily.spent for row in page.rows] == [usd("1"), usd("24")]
    assert [row.state for row in page.rows] == [BudgetState.OK, BudgetState.EXCEEDED]
    assert [row.is_refused_below_limit for row in page.rows] == [False, True]
    # The filters go by the database, which follows.
    assert page.counts.exceeded == 1


def test_counters_that_nobody_restored_are_not_shown_as_nothing(
    redis_server: RedisServer, redis_client: "redis.Redis"
) -> None:
    ann = add_user("ann")
    add_account(DAY, usd("5"), user_id=ann)
    page = _report_on(redis_client, UTC_ZONE, DEFAULTS).page(UserSpendQuery())
    assert (page.is_live, page.rows[0].daily.spent) == (False, usd("5"))


def test_the_database_is_shown_while_redis_is_away(report: SpendListReport) -> None:
    ann = add_user("ann")
    add_account(DAY, usd("5"), user_id=ann, is_refused=True)
    page = report.page(UserSpendQuery())
    assert (page.is_live, page.rows[0].daily.spent) == (False, usd("5"))
    assert page.rows[0].state is BudgetState.EXCEEDED
    (chosen,) = report.chosen([ann]).users
    assert chosen.budgets.daily.spent == usd("5")
    assert not report.chosen([ann]).is_live


def test_chosen_users_show_what_running_calls_hold(
    redis_server: RedisServer, redis_client: "redis.Redis"
) -> None:
    ann, ben = add_user("ann"), add_user("ben")
    publish_counters(redis_server.url, db.engine)
    _count(redis_client, ann, MONTH, 70, held="9")
    chosen = _report_on(redis_client, UTC_ZONE, DEFAULTS).chosen([ben, ann, 999])
    assert [user.budgets.username for user in chosen.users] == ["ann", "ben"]
    held = [(user.budgets.monthly.spent, user.held_monthly) for user in chosen.users]
    assert held == [(70, 9), (0, 0)]


def test_all_users_come_bit_by_bit_with_the_same_numbers_as_the_pages(
    report: SpendListReport,
) -> None:
    seed_story()
    for selection in (EVERYBODY, Selection(SpendFilter.WARNING), Selection(search="e")):
        batches = list(report.all(report.moment(), selection))
        rows = [row for batch in batches for row in batch.rows]
        shown = report.page(UserSpendQuery(selection, page_size=100)).rows
        assert sorted(rows, key=lambda row: row.user_id) == rows
        assert {row.user_id: row for row in rows} == {row.user_id: row for row in shown}
        assert len(batches) == -(-len(rows) // 2)
        assert not any(batch.is_live for batch in batches)


def test_a_month_is_projected_from_the_last_seven_full_days(report: SpendListReport) -> None:
    ann, ben = add_user("ann"), add_user("ben")
    for day in (16, 20, 22, 23):
        add_usage(NOW.replace(day=day), ann, cost_nano_usd=700)
    for day in (15, 21, 22, 23):
        add_usage(NOW.replace(day=day), ben, cost_nano_usd=700)
    page = report.page(UserSpendQuery(sort=SpendSort.USER, is_descending=False))
    # Seven days are left; today is not over, and the 15th is too long ago.
    assert page.moment.projected(page.rows[0]) == Money(2800 + 2100 * 7 // 7)
    assert page.moment.projected(page.rows[1]) is None
