"""Windows in every zone, accounts and their names, and the state of a budget."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Account,
    BudgetState,
    Limit,
    LimitKind,
    Scope,
    Window,
    account_from_name,
    accounts_of,
    forget_at,
    quarter_of,
    state_of,
    window_end,
    window_id,
    window_start,
    worse,
)
from ai_gateway.domain.money import Money

ZONES = tuple(
    map(
        ZoneInfo,
        (
            "UTC",
            "Europe/Berlin",
            "America/Los_Angeles",
            "America/Sao_Paulo",  # the clock jumped over midnight
            "America/Havana",  # and goes back at one to midnight
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",  # half an hour of summer time
            "Pacific/Apia",  # left out a whole day, 2011-12-30
            "Pacific/Kiritimati",
        ),
    )
)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
INSTANT = timedelta(microseconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("zone", "moment", "start", "end"),
    [
        pytest.param(
            "UTC", "2026-02-28T23:59:59Z", "2026-02-28T00:00Z", "2026-03-01T00:00Z", id="utc"
        ),
        pytest.param(
            "UTC", "2028-02-28T12:00Z", "2028-02-28T00:00Z", "2028-02-29T00:00Z", id="leap year"
        ),
        pytest.param(
            "Europe/Berlin",
            "2026-03-29T12:00Z",
            "2026-03-28T23:00Z",
            "2026-03-29T22:00Z",
            id="day of 23 hours",
        ),
        pytest.param(
            "Europe/Berlin",
            "2026-10-25T00:30Z",
            "2026-10-24T22:00Z",
            "2026-10-25T23:00Z",
            id="day of 25 hours",
        ),
        pytest.param(
            "America/Los_Angeles",
            "2026-11-01T09:30Z",
            "2026-11-01T07:00Z",
            "2026-11-02T08:00Z",
            id="second of the two hours",
        ),
        pytest.param(
            "Asia/Kolkata",
            "2026-11-25T18:29:59Z",
            "2026-11-24T18:30Z",
            "2026-11-25T18:30Z",
            id="half an hour off",
        ),
        pytest.param(
            "Asia/Kathmandu",
            "2026-11-25T18:15Z",
            "2026-11-25T18:15Z",
            "2026-11-26T18:15Z",
            id="three quarters off",
        ),
        pytest.param(
            "America/Sao_Paulo",
            "2018-11-04T12:00Z",
            "2018-11-04T03:00Z",
            "2018-11-05T02:00Z",
            id="day without midnight",
        ),
        pytest.param(
            "America/Havana",
            "2026-11-01T04:30Z",
            "2026-11-01T04:00Z",
            "2026-11-02T05:00Z",
            id="day with midnight twice",
        ),
        pytest.param(
            "Pacific/Apia",
            "2011-12-30T09:59Z",
            "2011-12-29T10:00Z",
            "2011-12-30T10:00Z",
            id="before the day that never was",
        ),
        pytest.param(
            "Pacific/Apia",
            "2011-12-30T10:00Z",
            "2011-12-30T10:00Z",
            "2011-12-31T10:00Z",
            id="after the day that never was",
        ),
    ],
)
def test_day_begins_and_ends_at_local_midnight(
    zone: str, moment: str, start: str, end: str
) -> None:
    assert window_start(Window.DAY, at(moment), ZoneInfo(zone)) == at(start)
    assert window_end(Window.DAY, at(moment), ZoneInfo(zone)) == at(end)


@pytest.mark.parametrize(
    ("zone", "moment", "start", "end"),
    [
        pytest.param(
            "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z", id="new year"
        ),
        pytest.param(
            "UTC", "2027-01-31T12:00Z", "2027-01-01T00:00Z", "2027-02-01T00:00Z", id="31st"
        ),
        pytest.param(
            "Europe/Berlin",
            "2026-03-31T21:59Z",
            "2026-02-28T23:00Z",
            "2026-03-31T22:00Z",
            id="summer time begins within",
        ),
        pytest.param(
            "America/Los_Angeles",
            "2026-11-30T12:00Z",
            "2026-11-01T07:00Z",
            "2026-12-01T08:00Z",
            id="summer time ends within",
        ),
        pytest.param(
            "Pacific/Apia",
            "2011-12-30T10:00Z",
            "2011-12-01T10:00Z",
            "2011-12-31T10:00Z",
            id="month of thirty days of thirty-one",
        ),
    ],
)
def test_month_begins_and_ends_with_its_local_days(
    zone: str, moment: str, start: str, end: str
) -> None:
    assert window_start(Window.MONTH, at(moment), ZoneInfo(zone)) == at(start)
    assert window_end(Window.MONTH, at(moment), ZoneInfo(zone)) == at(end)


@given(st.sampled_from(Window), MOMENTS, st.sampled_from(ZONES))
@example(Window.DAY, at("2018-11-04T02:59:59.999999Z"), ZoneInfo("America/Sao_Paulo"))
@example(Window.DAY, at("2018-02-18T02:30Z"), ZoneInfo("America/Sao_Paulo"))
@example(Window.DAY, at("2011-12-30T09:59Z"), ZoneInfo("Pacific/Apia"))
@example(Window.MONTH, at("2011-12-30T10:00Z"), ZoneInfo("Pacific/Apia"))
@example(Window.DAY, at("2026-11-01T05:30Z"), ZoneInfo("America/Havana"))
def test_windows_follow_one_another_without_gap_or_overlap(
    window: Window, moment: datetime, zone: ZoneInfo
) -> None:
    start, end = window_start(window, moment, zone), window_end(window, moment, zone)
    name = window_id(window, moment, zone)
    assert start <= moment < end
    assert window_start(window, end, zone) == end
    assert window_end(window, end - INSTANT, zone) == end
    assert window_id(window, start, zone) == window_id(window, end - INSTANT, zone) == name
    assert window_id(window, start - INSTANT, zone) < name < window_id(window, end, zone)


@given(st.sampled_from(Window), MOMENTS, st.sampled_from(ZONES), st.sampled_from(ZONES))
def test_window_does_not_depend_on_the_zone_in_which_the_moment_is_written(
    window: Window, moment: datetime, zone: ZoneInfo, other: ZoneInfo
) -> None:
    written = moment.astimezone(other)
    assert window_id(window, written, zone) == window_id(window, moment, zone)
    assert window_start(window, written, zone) == window_start(window, moment, zone)
    assert window_end(window, written, zone) == window_end(window, moment, zone)


@given(MOMENTS, st.sampled_from(ZONES))
def test_day_lies_within_its_month(moment: datetime, zone: ZoneInfo) -> None:
    day, month = (window_id(window, moment, zone) for window in Window)
    assert day.startswith(f"{month}-")
    assert window_start(Window.MONTH, moment, zone) <= window_start(Window.DAY, moment, zone)
    assert window_end(Window.DAY, moment, zone) <= window_end(Window.MONTH, moment, zone)


def test_bounds_of_windows_are_told_in_utc() -> None:
    moment, zone = at("2026-11-25T12:00+09:00"), ZoneInfo("Asia/Kolkata")
    assert window_start(Window.DAY, moment, zone).tzinfo is UTC
    assert window_end(Window.MONTH, moment, zone).tzinfo is UTC


@given(st.sampled_from(Window), MOMENTS, st.sampled_from(ZONES))
def test_no_window_ends_inside_a_quarter_of_an_hour(
    window: Window, moment: datetime, zone: ZoneInfo
) -> None:
    quarter = quarter_of(moment)
    assert timedelta() <= moment - quarter < timedelta(minutes=15)
    assert window_start(window, quarter, zone) == window_start(window, moment, zone)


def test_account_is_kept_until_its_next_window_is_over() -> None:
    moments = forget_at(at("2050-01-15T12:00Z"), ZoneInfo("UTC"))
    assert [moment.isoformat()[:10] for moment in moments] == [
        "2050-03-01",
        "2050-01-17",
        "2050-03-01",
        "2050-01-17",
        "2050-03-01",
    ]


def test_call_touches_an_account_of_every_budget_in_their_order() -> None:
    subjects = {Scope.INSTALLATION: 0, Scope.USER: 7, Scope.KEY: 11}
    accounts = accounts_of(subjects, at("2026-11-30T23:30Z"), ZoneInfo("Europe/Berlin"))
    assert [account.name for account in accounts] == [
        "installation:0:2026-12",
        "user:7:2026-12-01",
        "user:7:2026-12",
        "key:11:2026-12-01",
        "key:11:2026-12",
    ]
    assert [(account.scope, account.window) for account in accounts] == [
        (budget.scope, budget.window) for budget in BUDGETS
    ]


@given(st.sampled_from(Scope), st.integers(0, 2**53), st.sampled_from(Window), MOMENTS)
def test_account_is_read_back_from_its_name(
    scope: Scope, subject_id: int, window: Window, moment: datetime
) -> None:
    account = Account(scope, subject_id, window, window_id(window, moment, ZoneInfo("UTC")))
    assert account_from_name(account.name) == account


@pytest.mark.parametrize("name", ["", "user:1", "user:x:2026-11", "team:1:2026-11", "a:b:c:d"])
def test_name_of_no_account_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        account_from_name(name)


@pytest.mark.parametrize(
    ("spent", "state"),
    [
        pytest.param(0, BudgetState.OK, id="nothing"),
        pytest.param(7_999, BudgetState.OK, id="79.99 %"),
        pytest.param(8_000, BudgetState.WARNING, id="80 %"),
        pytest.param(9_999, BudgetState.WARNING, id="99.99 %"),
        pytest.param(10_000, BudgetState.EXCEEDED, id="100 %"),
        pytest.param(10_001, BudgetState.EXCEEDED, id="over"),
    ],
)
@pytest.mark.parametrize("unit", [1, 7, 9 * 10**11], ids=["tiny", "odd", "at the largest limit"])
def test_state_changes_exactly_at_80_and_100_percent(
    spent: int, state: BudgetState, unit: int
) -> None:
    limit = Limit(LimitKind.AMOUNT, Money(10_000 * unit))
    assert state_of(Money(spent * unit), limit, is_refused=False) is state


@given(st.integers(1, 9 * 10**15))
def test_one_nano_dollar_below_a_bound_is_below_it(amount: int) -> None:
    limit = Limit(LimitKind.AMOUNT, Money(amount))
    warned_from = -(-amount * 4 // 5)
    below = state_of(Money(warned_from - 1), limit, is_refused=False)
    assert below is BudgetState.OK
    assert state_of(Money(warned_from), limit, is_refused=False) is not BudgetState.OK
    assert state_of(Money(amount - 1), limit, is_refused=False) is not BudgetState.EXCEEDED
    assert state_of(Money(amount), limit, is_refused=False) is BudgetState.EXCEEDED


def test_refusal_makes_a_budget_exceeded_whatever_was_spent() -> None:
    limit = Limit(LimitKind.AMOUNT, Money(100))
    assert state_of(Money(1), limit, is_refused=True) is BudgetState.EXCEEDED


def test_limit_of_nothing_is_exceeded_from_the_start() -> None:
    assert state_of(Money(0), Limit(LimitKind.AMOUNT), is_refused=False) is BudgetState.EXCEEDED


@pytest.mark.parametrize("is_refused", [True, False])
def test_budget_without_a_limit_is_always_ok(*, is_refused: bool) -> None:
    assert state_of(Money(10**15), NO_LIMIT, is_refused=is_refused) is BudgetState.OK


def test_negative_counter_is_ok() -> None:
    limit = Limit(LimitKind.AMOUNT, Money(100))
    assert state_of(Money(-5), limit, is_refused=False) is BudgetState.OK


@pytest.mark.parametrize(
    ("first", "second", "worst"),
    [
        (BudgetState.OK, BudgetState.WARNING, BudgetState.WARNING),
        (BudgetState.EXCEEDED, BudgetState.WARNING, BudgetState.EXCEEDED),
        (BudgetState.OK, BudgetState.OK, BudgetState.OK),
        (BudgetState.OK, BudgetState.EXCEEDED, BudgetState.EXCEEDED),
    ],
)
def test_worse_of_two_states_does_not_depend_on_their_order(
    first: BudgetState, second: BudgetState, worst: BudgetState
) -> None:
    assert worse(first, second) is worse(second, first) is worst
