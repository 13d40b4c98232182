"""Usage of a period: one sum everywhere, in any zone."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.services.periods import AskedRange, RangeName
from ai_gateway.services.usage_report import Dimension, UsageReports, added
from ai_gateway.stores.top_users import TopUsers
from ai_gateway.stores.usage_sums import UsageSumsStore
from tests.seeding import NOW, UTC_ZONE, add_usage, seed_story
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import SetClock

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
ZONES = ("UTC", "Asia/Kolkata", "America/Los_Angeles")
RANGES = (
    *(AskedRange(name) for name in RangeName if name is not RangeName.CUSTOM),
    AskedRange(RangeName.CUSTOM, date(2026, 10, 30), date(2026, 11, 4)),
    AskedRange(RangeName.CUSTOM, date(2026, 11, 22), date(2026, 11, 23)),
)


@pytest.fixture(autouse=True)
def database(tmp_path: Path) -> Iterator[None]:
    with opened(sqlite_url(tmp_path)):
        yield


def reports(zone: str = "UTC") -> UsageReports:
    return UsageReports(UsageSumsStore(), TopUsers(), clock=SetClock(), zone=ZoneInfo(zone))


@pytest.mark.parametrize("zone", ZONES)
def test_total_providers_models_and_bars_are_one_sum(zone: str) -> None:
    seed_story(zone=ZoneInfo(zone))
    for asked in RANGES:
        usage = reports(zone).usage(asked)
        assert usage.current == added(row.sums for row in usage.providers)
        assert usage.current == added(m.sums for row in usage.providers for m in row.models)
        for by in Dimension:
            assert usage.current == added(line.total for line in usage.series(by).lines)
        assert usage.current.cost > 0


@pytest.mark.parametrize("zone", ZONES)
def test_seven_single_days_are_the_seven_days(zone: str) -> None:
    seed_story(zone=ZoneInfo(zone))
    whole = reports(zone).usage(AskedRange())
    days = [
        start.astimezone(ZoneInfo(zone)).date() for start in whole.series(Dimension.MODEL).starts
    ]
    single = [reports(zone).usage(AskedRange(RangeName.CUSTOM, day, day)).current for day in days]
    assert len(single) == 7
    assert added(single) == whole.current


def test_the_previous_period_is_cut_at_the_full_hour() -> None:
    add_usage(HOUR, 1, cost_nano_usd=1)
    add_usage(datetime(2026, 11, 17, tzinfo=NOW.tzinfo), 1, cost_nano_usd=10)
    add_usage(datetime(2026, 11, 16, 23, tzinfo=NOW.tzinfo), 1, cost_nano_usd=100)
    add_usage(datetime(2026, 11, 16, 6, tzinfo=NOW.tzinfo), 1, cost_nano_usd=1000)
    add_usage(datetime(2026, 11, 9, 23, tzinfo=NOW.tzinfo), 1, cost_nano_usd=10_000)
    usage = reports().usage(AskedRange())
    assert usage.current.cost == 11
    # What came after 07:00 six days and a week ago has no counterpart in today yet.
    assert usage.previous is not None
    assert usage.previous.cost == 1000
    assert usage.providers[0].previous is not None
    assert usage.providers[0].previous.cost == 1000


def test_a_user_has_the_part_of_the_total_that_is_theirs() -> None:
    add_usage(HOUR, 1, cost_nano_usd=5)
    add_usage(HOUR - timedelta(hours=9), 2, cost_nano_usd=7)
    assert reports().usage(AskedRange(), user_id=1).current.cost == 5
    series = reports().usage(AskedRange(), user_id=2).series(Dimension.PROVIDER)
    assert [sums.cost for sums in series.lines[0].sums] == [0, 0, 0, 0, 0, 7, 0]


def test_the_last_days_end_now_and_begin_at_midnight() -> None:
    add_usage(HOUR, 1, cost_nano_usd=5)
    add_usage(HOUR.replace(hour=0) - timedelta(days=1), 1, cost_nano_usd=7)
    add_usage(HOUR.replace(hour=0) - timedelta(days=1, hours=1), 1, cost_nano_usd=100)
    assert reports().last_days(2).current.cost == 12


def test_lines_come_dearest_first_with_a_sum_in_every_bar() -> None:
    add_usage(HOUR, 1, model="small", cost_nano_usd=5)
    add_usage(HOUR - timedelta(days=2), 1, model="large", cost_nano_usd=9)
    series = reports().usage(AskedRange()).series(Dimension.MODEL)
    assert [line.name for line in series.lines] == ["openai/large", "openai/small"]
    assert [sums.cost for sums in series.lines[0].sums] == [0, 0, 0, 0, 9, 0, 0]
    assert len(series.starts) == 7


def test_a_period_takes_two_statements_whatever_its_length_and_one_when_it_is_known() -> None:
    seed_story(zone=UTC_ZONE)
    for asked in RANGES:
        known = reports()
        for statements in (2, 1):
            with counted_statements() as sent:
                known.usage(asked)
            assert len(sent) == statements, sent
