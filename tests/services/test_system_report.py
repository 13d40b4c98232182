"""How many calls ended how, how long they took, and what was refused."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.call import Outcome
from ai_gateway.services.periods import AskedRange, RangeName
from ai_gateway.services.system_report import SystemReports, percentile
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.stores.refusal_tables import RefusalHour
from ai_gateway.stores.rollup_tables import LatencyBucket, LatencyDay, OutcomeHour
from ai_gateway.stores.rollups import DURATION, FIRST_TOKEN, OVERHEAD, bucket_of
from ai_gateway.stores.system_sums import SystemSums
from ai_gateway.stores.tables import Base, db
from ai_gateway.stores.top_users import TopUsers
from ai_gateway.stores.usage_sums import UsageSumsStore
from tests.seeding import NOW, UTC_ZONE, seed_story
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import SetClock

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
DAY = HOUR.replace(hour=0)


@pytest.fixture
def reports(tmp_path: Path) -> Iterator[SystemReports]:
    with opened(sqlite_url(tmp_path)):
        usage = UsageReports(UsageSumsStore(), TopUsers(), clock=SetClock(), zone=UTC_ZONE)
        yield SystemReports(usage, SystemSums(), UTC_ZONE)


def _add(*rows: Base) -> None:
    db.session.add_all(rows)
    db.session.commit()


def _outcome(hour: datetime, outcome: str, count: int) -> OutcomeHour:
    return OutcomeHour(hour=hour, provider="openai", outcome=outcome, count=count)


def test_outcomes_are_counted_in_their_bars_and_a_bar_without_a_call_is_a_gap(
    reports: SystemReports,
) -> None:
    _add(
        _outcome(HOUR, "success", 3),
        _outcome(HOUR - timedelta(hours=1), "success", 4),
        _outcome(HOUR - timedelta(days=2), "upstream_error", 1),
        _outcome(HOUR - timedelta(days=2, hours=1), "gateway_error", 0),
    )
    outcomes = reports.report(AskedRange()).outcomes
    assert outcomes == {
        Outcome.SUCCESS: (None, None, None, None, 0, None, 7),
        Outcome.UPSTREAM_ERROR: (None, None, None, None, 1, None, 0),
    }


def test_times_of_a_day_come_from_hours_and_of_a_week_from_days(reports: SystemReports) -> None:
    bucket = bucket_of(900)
    _add(
        LatencyBucket(hour=HOUR, provider="a", model="m", kind=DURATION, bucket=bucket, count=2),
        LatencyDay(day=DAY, provider="a", kind=FIRST_TOKEN, bucket=bucket, count=2),
    )
    day = reports.report(AskedRange(RangeName.HOURS_24)).times
    assert day[DURATION].overall[50] == pytest.approx(900, rel=0.05)
    assert day[DURATION].course[95][-1] == pytest.approx(900, rel=0.05)
    assert day[DURATION].course[95][:-1] == (None,) * 23
    week = reports.report(AskedRange()).times
    assert week[FIRST_TOKEN].overall[99] == pytest.approx(900, rel=0.05)
    assert week[DURATION].overall == week[OVERHEAD].overall == {50: None, 95: None, 99: None}


def test_refusals_come_commonest_first(reports: SystemReports) -> None:
    for reason, count in (("invalid", 2), ("user_day", 3), ("invalid", 4)):
        hour = HOUR - timedelta(hours=count)
        _add(RefusalHour(hour=hour, outcome="auth_error", reason=reason, count=count))
    report = reports.report(AskedRange(RangeName.HOURS_24))
    assert [(row.reason, row.count) for row in report.refusals] == [("invalid", 6), ("user_day", 3)]
    assert report.refused == 9
    assert report.refusals[0].course[-5:] == (4, 0, 2, 0, 0)


@given(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=300), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_within_ten_percent_of_the_exact_one(
    times: list[int], percent: int
) -> None:
    exact = sorted(times)[-(-len(times) * percent // 100) - 1]
    found = percentile(Counter(map(bucket_of, times)), percent)
    assert found is not None
    assert abs(found - exact) <= max(0.1 * exact, 1)


def test_percentiles_of_many_calls() -> None:
    chance = random.Random(1)  # the same numbers every time, not secret ones
    times = [round(chance.lognormvariate(7, 1)) for _ in range(10_000)]
    counts = Counter(map(bucket_of, times))
    for percent in (50, 95, 99):
        exact = sorted(times)[len(times) * percent // 100 - 1]
        assert percentile(counts, percent) == pytest.approx(exact, rel=0.1)


def test_the_report_takes_four_statements_and_one_for_closed_days_at_first(
    reports: SystemReports,
) -> None:
    seed_story()
    for name in (RangeName.HOURS_24, RangeName.DAYS_30):
        for statements in (5, 4):
            with counted_statements() as sent:
                reports.report(AskedRange(name))
            assert len(sent) == statements, sent
