"""The numbers of the staff pages, from rows to what is shown."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.limits import BudgetState
from ai_gateway.services.periods import AskedRange, RangeName
from ai_gateway.services.reports import Reports
from ai_gateway.services.usage_report import Dimension, UsageReports, added
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.reporting import ReportingStore
from ai_gateway.stores.rollup_tables import LatencyDay
from ai_gateway.stores.rollups import bucket_of
from ai_gateway.stores.tables import db
from ai_gateway.stores.top_users import TopUsers
from ai_gateway.stores.usage_sums import UsageSumsStore
from tests.seeding import (
    DEFAULTS,
    NOW,
    UTC_ZONE,
    add_account,
    add_entry,
    add_usage,
    add_user,
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


def _reports(zone: ZoneInfo, clock: SetClock | None = None) -> Reports:
    clock = clock or SetClock()
    return Reports(
        ReportingStore(),
        UsageReports(UsageSumsStore(), TopUsers(), clock=clock, zone=zone),
        clock=clock,
        zone=zone,
        defaults=DEFAULTS,
    )


def test_an_empty_installation_has_numbers_too(reports: Reports) -> None:
    overview = reports.overview(AskedRange(RangeName.HOURS_24))
    assert (overview.usage.current.cost, overview.usage.current.error_rate) == (0, None)
    assert (overview.usage.providers, overview.spenders, overview.activity) == ((), (), ())
    assert (overview.installation.spent, overview.installation.percent) == (0, 0)


def test_today_begins_at_midnight_of_the_reporting_zone() -> None:
    early, late = add_user("early"), add_user("late")
    # 18:00 UTC is 23:30 in India, half an hour later it is the next day.
    india = ZoneInfo("Asia/Kolkata")
    before, after = (datetime(2026, 11, 22, hour, 30, tzinfo=NOW.tzinfo) for hour in (17, 18))
    add_usage(before, early, zone=india, cost_nano_usd=9)
    add_usage(after, late, zone=india, cost_nano_usd=5)
    overview = _reports(india).overview(AskedRange())
    assert [spender.user.username for spender in overview.spenders] == ["late"]


def test_spenders_show_the_worse_of_their_budgets(reports: Reports) -> None:
    user_id = add_user("ann")
    add_usage(HOUR, user_id, cost_nano_usd=9)
    add_account(MONTH, usd("499"), user_id=user_id)
    add_usage(HOUR, 999, cost_nano_usd=5)
    ann, gone = reports.overview(AskedRange()).spenders
    assert ann.budgets is not None
    assert (ann.budgets.state, ann.budgets.daily.state) == (BudgetState.WARNING, BudgetState.OK)
    assert gone.budgets is None


def test_at_most_ten_spenders_and_twenty_calls(reports: Reports) -> None:
    for number in range(25):
        add_usage(HOUR, number, cost_nano_usd=number)
        add_entry(f"r{number}", admitted_at=NOW - timedelta(minutes=number))
    overview = reports.overview(AskedRange())
    assert [spender.user.user_id for spender in overview.spenders] == list(range(24, 14, -1))
    assert len(overview.activity) == 20


def test_the_overview_needs_few_statements(reports: Reports) -> None:
    seed_story()
    with counted_statements() as sent:
        reports.overview(AskedRange(RangeName.DAYS_30))
    # Two more are left for the session of whoever looks.
    assert len(sent) <= 10, sent


def test_no_page_sums_the_ledger(reports: Reports) -> None:
    seed_story()
    with counted_statements() as sent:
        reports.overview(AskedRange(RangeName.DAYS_30))
        ReportingStore().set_up_facts()
    of_ledger = [sql for sql in sent if "ledger_entry" in sql]
    assert len(of_ledger) == 1
    assert not [sql for sql in of_ledger if "sum(" in sql.lower()]


def test_a_projection_needs_three_active_days_of_the_last_seven(reports: Reports) -> None:
    for days_ago in (0, 1, 2):
        add_usage(HOUR - timedelta(days=days_ago), 1, cost_nano_usd=70)
    assert reports.overview(AskedRange()).lately.projected is None
    add_usage(HOUR - timedelta(days=7), 1, cost_nano_usd=70)
    # 23 November has seven days left; the last seven full days cost 210.
    assert reports.overview(AskedRange(RangeName.HOURS_24)).lately.projected == 280 + 210


def test_a_projection_counts_the_last_days_of_the_month_before(tmp_path: Path) -> None:
    clock = SetClock(datetime(2026, 11, 2, 9, tzinfo=NOW.tzinfo))
    for day in (27, 29, 31):
        add_usage(datetime(2026, 10, day, 9, tzinfo=NOW.tzinfo), 1, cost_nano_usd=70)
    add_usage(clock(), 1, cost_nano_usd=5)
    assert _reports(UTC_ZONE, clock).overview(AskedRange()).lately.projected == 5 + 28 * 30


def test_a_provider_of_whose_calls_many_fail_this_hour_is_in_trouble(reports: Reports) -> None:
    add_usage(HOUR, 1, "openai", requests=20, failures=5)
    add_usage(HOUR, 1, "groq", requests=4, failures=4)
    add_usage(HOUR, 1, "mistral", requests=100, failures=9)
    add_usage(HOUR - timedelta(hours=1), 1, "anthropic", requests=9, failures=9)
    trouble = reports.overview(AskedRange()).lately.trouble
    assert [(one.provider, one.error_rate) for one in trouble] == [("openai", Fraction(1, 4))]


def test_models_without_a_price_are_counted(reports: Reports) -> None:
    add_usage(HOUR, 1, model="new-model", unpriced=1)
    add_usage(HOUR, 2, model="new-model", unpriced=3)
    add_usage(HOUR, 1, cost_nano_usd=5)
    assert reports.overview(AskedRange()).unpriced_models == 1


def test_users_over_time_and_the_rest_are_the_whole(reports: Reports) -> None:
    for number in range(12):
        add_usage(HOUR - timedelta(days=number % 3), add_user(f"u{number}"), cost_nano_usd=number)
    for asked in (AskedRange(), AskedRange(RangeName.HOURS_24)):
        overview = reports.overview(asked, Dimension.USER)
        names = [line.name for line in overview.series.lines]
        total = added(line.total for line in overview.series.lines)
        assert (total.cost, total.requests) == (
            overview.usage.current.cost,
            overview.usage.current.requests,
        )
    assert len(names) <= 9
    week = reports.overview(AskedRange(), Dimension.USER).series
    assert [line.name for line in week.lines] == [*(f"u{n}" for n in range(11, 3, -1)), "Other"]


def test_activity_is_of_calls_and_refusals_and_refusals_are_in_no_total(reports: Reports) -> None:
    user_id = add_user("ann")
    for minutes in (0, 2, 4):
        add_entry(f"r{minutes}", user_id=user_id, admitted_at=NOW - timedelta(minutes=minutes))
    for minutes in (1, 3):
        db.session.add(
            RefusalRow(
                at=NOW - timedelta(minutes=minutes),
                outcome="budget_blocked",
                reason="user_day",
                operation="chat",
                request_id=f"x{minutes}",
                user_id=user_id,
                key_id="k1",
                model="gpt-4o",
            )
        )
    hours = {HOUR: 2, HOUR - timedelta(days=1): 5, HOUR - timedelta(days=30): 100}
    for hour, count in hours.items():
        db.session.add(RefusalHour(hour=hour, outcome="x", reason="y", count=count))
    db.session.commit()
    overview = reports.overview(AskedRange())
    assert [one.request_id for one in overview.activity] == ["r0", "x1", "r2", "x3", "r4"]
    assert (overview.refused, overview.usage.current.requests) == (7, 0)
    assert reports.overview(AskedRange(RangeName.HOURS_24)).refused == 2


def test_providers_have_the_time_below_which_most_calls_stayed(reports: Reports) -> None:
    day = HOUR.replace(hour=0)
    for bucket, count in ((bucket_of(1000), 94), (bucket_of(9000), 6)):
        db.session.add(
            LatencyDay(day=day, provider="openai", kind="duration", bucket=bucket, count=count)
        )
    db.session.commit()
    assert reports.overview(AskedRange()).p95_ms == {"openai": pytest.approx(9000, rel=0.05)}
