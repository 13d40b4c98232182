"""The plan of the demo: what happens when, and the limits that follow from what was spent."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.cli.demo.cast import BLOCKED, CAST, MODELS, NEAR, OVER, Rhythm
from ai_gateway.cli.demo.ending import NEAR_PERCENT, OVER_PERCENT, two_digits
from ai_gateway.cli.demo.plan import DAYS, Block, Call, Join, ReplaceKey, last_calls, plan

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
MOMENTS = [
    pytest.param(datetime(2026, 11, 25, 15, 30, tzinfo=UTC), UTC_ZONE, id="a Wednesday"),
    pytest.param(datetime(2026, 11, 1, 23, 0, 1, tzinfo=UTC), BERLIN, id="just Monday in Berlin"),
    pytest.param(
        datetime(2026, 11, 8, 12, tzinfo=UTC), BERLIN, id="a Sunday after the time change"
    ),
]


def calls(now: datetime, zone: ZoneInfo = UTC_ZONE) -> list[Call]:
    return [step for step in plan(now, zone) if isinstance(step, Call)]


@pytest.mark.parametrize(("now", "zone"), MOMENTS)
def test_plan_is_the_same_each_time_in_order_and_over_now(now: datetime, zone: ZoneInfo) -> None:
    steps = plan(now, zone)
    assert steps == plan(now, zone)
    moments = [step.moment for step in steps]
    assert moments == sorted(moments)
    assert now - timedelta(days=DAYS + 1) < moments[0]
    assert now - timedelta(hours=1) < moments[-1] <= now


@pytest.mark.parametrize(("now", "zone"), MOMENTS)
def test_nobody_calls_before_joining_or_after_leaving(now: datetime, zone: ZoneInfo) -> None:
    steps = plan(now, zone)
    joins = {step.person.username: step for step in steps if isinstance(step, Join)}
    assert joins.keys() == {person.username for person in CAST}
    for call in calls(now, zone):
        join = joins[call.username]
        assert join.moment < call.moment
        assert join.leaves_on is None or call.moment.astimezone(zone).date() < join.leaves_on


@pytest.mark.parametrize(("now", "zone"), MOMENTS)
def test_a_key_is_replaced_and_a_user_blocked_in_the_middle(now: datetime, zone: ZoneInfo) -> None:
    steps = plan(now, zone)
    for kind in (ReplaceKey, Block):
        (at,) = (n for n, step in enumerate(steps) if isinstance(step, kind))
        name = steps[at].username  # type: ignore[union-attr]  # both kinds have one
        made = {n < at for n, step in enumerate(steps) if getattr(step, "username", "") == name}
        assert made == {True, False}, "calls before and after"


def test_weekdays_are_busier_than_weekends_and_use_grows() -> None:
    now = datetime(2026, 11, 25, 23, 59, tzinfo=UTC)
    office = {person.username for person in CAST if person.rhythm is Rhythm.OFFICE}
    days = Counter(call.moment.date() for call in calls(now) if call.username in office)
    weekdays = [count for day, count in sorted(days.items()) if day.weekday() < 5]
    weekend = [count for day, count in days.items() if day.weekday() >= 5]
    assert sum(weekdays) / len(weekdays) > 3 * sum(weekend) / len(weekend)
    assert sum(weekdays[-5:]) > 1.2 * sum(weekdays[:5])


def test_a_provider_has_one_bad_afternoon() -> None:
    now = datetime(2026, 11, 25, 15, tzinfo=UTC)
    failed = Counter(
        call.moment.date()
        for call in calls(now)
        if call.model.provider == "anthropic" and "[[status=503]]" in call.prompt
    )
    (day, count), (_, next_most) = failed.most_common(2)
    assert day == datetime(2026, 11, 20, tzinfo=UTC).date()
    assert count > 3 * next_most


def test_every_model_is_called_streamed_and_left_early_and_the_rest_is_not() -> None:
    made = calls(datetime(2026, 11, 25, 15, tzinfo=UTC))
    assert {call.model.name for call in made} == {model.name for model in MODELS}
    assert {call.stream for call in made} == {True, False}
    assert all(call.stream for call in made if call.leaves_early)
    assert 20 < sum(call.leaves_early for call in made) < len(made) / 10


def test_who_is_near_or_over_spends_at_the_last_moment() -> None:
    now = datetime(2026, 11, 25, 0, 0, 1, tzinfo=UTC)
    assert [(call.username, call.moment) for call in last_calls(now)] == [(NEAR, now), (OVER, now)]
    assert BLOCKED not in {NEAR, OVER}


@given(st.integers(min_value=10_000, max_value=10**15))
def test_rounded_limits_leave_each_where_it_is_meant_to_be(spent: int) -> None:
    assert 80 <= spent * 100 // two_digits(spent * 100 // NEAR_PERCENT) < 100
    assert two_digits(spent * 100 // OVER_PERCENT) < spent


@pytest.mark.parametrize(
    ("amount", "limit"), [(0, 1), (7, 7), (104, 100), (1_260_000, 1_300_000), (99_600, 100_000)]
)
def test_two_digits(amount: int, limit: int) -> None:
    assert two_digits(amount) == limit
