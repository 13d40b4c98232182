"""The numbers of the staff pages, from rows to what is shown."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.limits import NO_LIMIT, BudgetState, Limit, LimitKind, Window
from ai_gateway.domain.spend_list import SpendFilter, SpendSort
from ai_gateway.services.periods import OverviewRange
from ai_gateway.services.reports import Reports, UserSpendQuery
from ai_gateway.stores.reporting import ReportingStore
from tests.seeding import (
    DEFAULTS,
    NOW,
    UTC_ZONE,
    add_account,
    add_entry,
    add_limit,
    add_usage,
    add_user,
    amount,
    seed_story,
    usd,
)
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import SetClock

DAY, MONTH = "2026-11-23", "2026-11"
HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)


@pytest.fixture(autouse=True)
def database(tmp_path: Path) -> Iterator[None]:
    with opened(sqlite_url(tmp_path)):
        yield


@pytest.fixture
def reports() -> Reports:
    return _reports(UTC_ZONE)


def _reports(zone: ZoneInfo) -> Reports:
    return Reports(ReportingStore(), clock=SetClock(), zone=zone, defaults=DEFAULTS)


@pytest.mark.parametrize("chosen", OverviewRange)
def test_the_tiles_are_the_sum_of_the_providers(reports: Reports, chosen: OverviewRange) -> None:
    seed_story()
    overview = reports.overview(chosen)
    assert overview.current.cost == sum(row.sums.cost for row in overview.providers) > 0
    assert overview.current.tokens == sum(row.sums.tokens for row in overview.providers) > 0
    assert overview.current.requests == sum(row.sums.requests for row in overview.providers) > 0


def test_the_overview_counts_the_hours_of_its_range_and_of_the_previous(reports: Reports) -> None:
    add_usage(HOUR, 1, cost_nano_usd=1)
    add_usage(datetime(2026, 11, 17, tzinfo=NOW.tzinfo), 1, cost_nano_usd=10)
    add_usage(datetime(2026, 11, 16, 23, tzinfo=NOW.tzinfo), 1, cost_nano_usd=100)
    add_usage(datetime(2026, 11, 16, 6, tzinfo=NOW.tzinfo), 1, cost_nano_usd=1000)
    add_usage(datetime(2026, 11, 9, 23, tzinfo=NOW.tzinfo), 1, cost_nano_usd=10_000)
    overview = reports.overview(OverviewRange.DAYS_7)
    assert overview.current.cost == 11
    # What came after 07:00 six days and a week ago has no counterpart in today yet.
    assert overview.previous is not None
    assert overview.previous.cost == 1000


def test_an_empty_installation_has_numbers_too(reports: Reports) -> None:
    overview = reports.overview(OverviewRange.HOURS_24)
    assert (overview.current.cost, overview.current.error_rate) == (0, None)
    assert (overview.providers, overview.spenders, overview.recent) == ((), (), ())
    assert (overview.installation.spent, overview.installation.percent) == (0, 0)


def test_today_begins_at_midnight_of_the_reporting_zone() -> None:
    early, late = add_user("early"), add_user("late")
    # 18:00 UTC is 23:30 in India, half an hour later it is the next day.
    add_usage(datetime(2026, 11, 22, 17, 30, tzinfo=NOW.tzinfo), early, cost_nano_usd=9)
    add_usage(datetime(2026, 11, 22, 18, 30, tzinfo=NOW.tzinfo), late, cost_nano_usd=5)
    overview = _reports(ZoneInfo("Asia/Kolkata")).overview(OverviewRange.DAYS_7)
    assert [spender.user.username for spender in overview.spenders] == ["late"]


def test_spenders_show_the_worse_of_their_budgets(reports: Reports) -> None:
    user_id = add_user("ann")
    add_usage(HOUR, user_id, cost_nano_usd=9)
    add_account(MONTH, usd("499"), user_id=user_id)
    add_usage(HOUR, 999, cost_nano_usd=5)
    ann, gone = reports.overview(OverviewRange.DAYS_7).spenders
    assert ann.budgets is not None
    assert (ann.budgets.state, ann.budgets.daily.state) == (BudgetState.WARNING, BudgetState.OK)
    assert gone.budgets is None


def test_at_most_ten_spenders_and_twenty_calls(reports: Reports) -> None:
    for number in range(25):
        add_usage(HOUR, number, cost_nano_usd=number)
        add_entry(f"r{number}", admitted_at=NOW - timedelta(minutes=number))
    overview = reports.overview(OverviewRange.DAYS_7)
    assert [spender.user.user_id for spender in overview.spenders] == list(range(24, 14, -1))
    assert len(overview.recent) == 20


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
    daily = _reports(UTC_ZONE).user_spend(UserSpendQuery()).rows[0].daily
    assert (daily.percent, daily.state) == (percent, state)
    assert not daily.is_refused_below_limit


def test_a_refusal_below_the_limit_is_exceeded_and_says_why(reports: Reports) -> None:
    user_id = add_user("ann")
    add_account(DAY, usd("24.25"), user_id=user_id, is_refused=True)
    daily = reports.user_spend(UserSpendQuery()).rows[0].daily
    assert (daily.percent, daily.state) == (97, BudgetState.EXCEEDED)
    assert daily.is_refused_below_limit


def test_environment_limits_hold_where_staff_set_none(reports: Reports) -> None:
    add_user("ann")
    (ann,) = reports.user_spend(UserSpendQuery()).rows
    assert (ann.daily.limit, ann.monthly.limit) == (amount(usd("25")), amount(usd("500")))


def test_a_budget_that_the_environment_does_not_name_has_no_limit() -> None:
    add_user("ann")
    reports = Reports(ReportingStore(), clock=SetClock(), zone=UTC_ZONE, defaults={})
    (ann,) = reports.user_spend(UserSpendQuery()).rows
    assert (ann.daily.limit, ann.monthly.percent) == (NO_LIMIT, None)


@pytest.mark.parametrize(
    ("page", "answered", "first", "last"),
    [(1, 1, 1, 25), (2, 2, 26, 27), (10**9, 2, 26, 27), (0, 1, 1, 25), (-1, 1, 1, 25)],
)
def test_a_page_that_is_not_there_becomes_the_nearest(
    reports: Reports, page: int, answered: int, first: int, last: int
) -> None:
    for number in range(27):
        add_user(f"user{number:02}")
    query = UserSpendQuery(page=page, page_size=25, sort=SpendSort.USER, is_descending=False)
    shown = reports.user_spend(query)
    assert (shown.query.page, shown.first, shown.last, shown.pages) == (answered, first, last, 2)


def test_no_users_make_one_empty_page(reports: Reports) -> None:
    shown = reports.user_spend(UserSpendQuery(search="nobody"))
    assert (shown.total, shown.pages, shown.first, shown.last) == (0, 1, 0, 0)


def test_filters_count_what_they_show(reports: Reports) -> None:
    seed_story()
    for chosen in SpendFilter:
        shown = reports.user_spend(UserSpendQuery(chosen=chosen, page_size=100))
        assert shown.total == len(shown.rows) > 0
    assert {row.state for row in shown.rows} == {BudgetState.EXCEEDED}


def test_windows_reset_at_the_end_of_the_local_day_and_month() -> None:
    shown = _reports(ZoneInfo("Asia/Kolkata")).user_spend(UserSpendQuery())
    assert shown.day_resets_at == datetime(2026, 11, 23, 18, 30, tzinfo=NOW.tzinfo)
    assert shown.month_resets_at == datetime(2026, 11, 30, 18, 30, tzinfo=NOW.tzinfo)


def test_the_overview_needs_few_statements(reports: Reports) -> None:
    seed_story()
    with counted_statements() as sent:
        reports.overview(OverviewRange.DAYS_30)
    # Two more are left for the session of whoever looks.
    assert len(sent) <= 10, sent


def test_every_page_of_users_needs_the_same_few_statements(reports: Reports) -> None:
    for number in range(60):
        add_user(f"user{number}")
    numbers = []
    for page in (1, 2, 3):
        with counted_statements() as sent:
            reports.user_spend(replace(UserSpendQuery(page_size=25), page=page, search="user"))
        numbers.append(len(sent))
    assert numbers == [2, 2, 2]


def test_no_page_sums_the_ledger(reports: Reports) -> None:
    seed_story()
    with counted_statements() as sent:
        reports.overview(OverviewRange.DAYS_30)
        reports.user_spend(UserSpendQuery())
        reports.set_up()
    of_ledger = [sql for sql in sent if "ledger_entry" in sql]
    assert len(of_ledger) == 2
    assert not [sql for sql in of_ledger if "sum(" in sql.lower()]
