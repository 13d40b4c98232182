"""When a rule fires, when it lets go, and what people read."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain import alert_conditions as conditions
from ai_gateway.domain.alert_conditions import ProviderCalls, SpentBudget, UnpricedModel
from ai_gateway.domain.alerts import (
    MOST_ATTEMPTS,
    MOST_COOL_DOWN,
    SPECS,
    AlertKind,
    Condition,
    NoticeState,
    Rule,
    default_rule,
    notice_of,
    retry_after,
)
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Limit, LimitKind, Scope, Window
from ai_gateway.domain.money import NANO_PER_USD, Money
from ai_gateway.domain.projection import Trailing
from ai_gateway.domain.spend_list import BudgetUse

NOW = datetime(2026, 11, 23, 7, 10, tzinfo=UTC)
RESETS = "2026-11-24 00:00 UTC"
HOLDING, NOTHING = "holding", "nothing"


def rule(kind: AlertKind, threshold: int | None = None) -> Rule:
    default = default_rule(kind)
    return default if threshold is None else replace(default, threshold=threshold)


def budget(
    percent: float,
    *,
    is_refused: bool = False,
    scope: Scope = Scope.USER,
    window: Window = Window.DAY,
    trailing: Trailing = Trailing(),  # noqa: B008  # frozen
) -> SpentBudget:
    """Of a limit of 10 USD."""
    name = "2026-11-23" if window is Window.DAY else "2026-11"
    subject = INSTALLATION_ID if scope is Scope.INSTALLATION else 7
    limit = Limit(LimitKind.AMOUNT, Money(10 * NANO_PER_USD))
    spent = Money(int(percent * NANO_PER_USD) // 10)
    use = BudgetUse(spent, limit, is_refused)
    return SpentBudget(Account(scope, subject, window, name), "ann", use, trailing)


def state(found: list[Condition]) -> str:
    if not found:
        return NOTHING
    (one,) = found
    return "firing" if one.is_firing else HOLDING


@pytest.mark.parametrize(
    ("percent", "is_refused", "near", "reached"),
    [
        (0, False, NOTHING, NOTHING),
        (69.9, False, NOTHING, NOTHING),
        (70, False, HOLDING, NOTHING),
        (79.999, False, HOLDING, NOTHING),
        (80, False, "firing", NOTHING),
        (90, False, "firing", HOLDING),
        (99.999, False, "firing", HOLDING),
        (97, True, "firing", "firing"),
        (40, True, NOTHING, "firing"),
        (100, False, HOLDING, "firing"),
        (250, False, HOLDING, "firing"),
    ],
)
def test_a_budget_is_near_and_then_reached(
    percent: float, *, is_refused: bool, near: str, reached: str
) -> None:
    one = [budget(percent, is_refused=is_refused)]
    assert state(conditions.near(rule(AlertKind.BUDGET_NEAR), one, RESETS)) == near
    assert state(conditions.reached(rule(AlertKind.BUDGET_REACHED), one, RESETS)) == reached


def test_beyond_the_limit_a_refusal_alone_does_not_count() -> None:
    chosen = rule(AlertKind.BUDGET_REACHED, 150)
    assert state(conditions.reached(chosen, [budget(101, is_refused=True)], RESETS)) == NOTHING
    assert state(conditions.reached(chosen, [budget(150)], RESETS)) == "firing"


@pytest.mark.parametrize(
    ("scope", "window", "subject", "name"),
    [
        (Scope.USER, Window.DAY, "user:7:day", "user ann, day"),
        (Scope.KEY, Window.MONTH, "key:7:month", "key ann, month"),
        (
            Scope.INSTALLATION,
            Window.MONTH,
            "installation:0:month",
            "the installation, month",
        ),
    ],
)
def test_a_budget_is_named_by_number_for_us_and_by_name_for_people(
    scope: Scope, window: Window, subject: str, name: str
) -> None:
    one = budget(82.345, is_refused=True, scope=scope, window=window)
    (found,) = conditions.near(rule(AlertKind.BUDGET_NEAR), [one], RESETS)
    assert (found.subject, found.name) == (subject, name)
    assert found.window == one.account.window_id
    assert found.words == f"$8.23 of $10.00 spent (82 %, last call refused); resets {RESETS}"


@pytest.mark.parametrize(
    ("spent", "pace", "active_days", "expected"),
    [
        (50, 50, 7, "firing"),  # 5.00 + 5.00 in each of the weeks to come
        (50, 49.9, 7, HOLDING),
        (50, 39, 7, NOTHING),
        (50, 50, 2, NOTHING),
        (100, 50, 7, HOLDING),
    ],
)
def test_a_month_that_will_not_last_is_foretold(
    spent: float, pace: float, active_days: int, expected: str
) -> None:
    trailing = Trailing(Money(int(pace * NANO_PER_USD) // 10), active_days)
    one = budget(spent, window=Window.MONTH, trailing=trailing)
    found = conditions.projected(rule(AlertKind.BUDGET_PROJECTED), [one], 7, RESETS)
    assert state(found) == expected
    if expected == "firing":
        assert found[0].words == (
            f"$5.00 of $10.00 spent, $10.00 at the end of the month at this pace; resets {RESETS}"
        )


def test_a_model_without_a_price_is_told_from_so_many_requests_on() -> None:
    models = [UnpricedModel("lab", "new", 2)]
    (found,) = conditions.unpriced(rule(AlertKind.UNPRICED_MODEL, 2), models, "2026-11-23")
    assert (found.subject, found.window, found.is_firing) == ("lab/new", "2026-11-23", True)
    assert found.words == "2 requests without a known price today (2026-11-23)"
    assert state(conditions.unpriced(rule(AlertKind.UNPRICED_MODEL, 3), models, "x")) == HOLDING


@pytest.mark.parametrize(
    ("requests", "failures", "expected"),
    [(100, 20, "firing"), (100, 19, NOTHING), (20, 4, "firing"), (19, 19, NOTHING)],
)
def test_a_provider_fails_by_its_share_of_enough_calls(
    requests: int, failures: int, expected: str
) -> None:
    calls = [ProviderCalls("lab", requests, failures)]
    assert state(conditions.provider_errors(rule(AlertKind.PROVIDER_ERRORS), calls)) == expected


@pytest.mark.parametrize(("cents", "expected"), [(99, NOTHING), (100, "firing"), (-100, "firing")])
def test_counters_and_ledger_may_differ_by_less_than_the_threshold(
    cents: int, expected: str
) -> None:
    drift = Money(cents * NANO_PER_USD // 100)
    assert state(conditions.ledger_drift(rule(AlertKind.LEDGER_DRIFT), drift)) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(119.9, NOTHING), (120.0, "firing")])
def test_the_ledger_may_be_behind_by_less_than_the_threshold(seconds: float, expected: str) -> None:
    assert state(conditions.outbox_lag(rule(AlertKind.OUTBOX_LAG), seconds)) == expected


@pytest.mark.parametrize(
    ("queued", "dropped", "expected"),
    [(999, 0, NOTHING), (1000, 0, "firing"), (0, 1, "firing")],
)
def test_traces_pile_up_or_are_lost(queued: int, dropped: int, expected: str) -> None:
    assert state(conditions.export_queue(rule(AlertKind.EXPORT_QUEUE), queued, dropped)) == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (None, NOTHING),
        (NOW - timedelta(seconds=59), NOTHING),
        (NOW - timedelta(seconds=60), "firing"),
    ],
)
def test_a_part_is_down_after_its_time(since: datetime | None, expected: str) -> None:
    assert state(conditions.down(rule(AlertKind.REDIS_DOWN), "Redis", since, NOW)) == expected


def test_moments_are_those_of_the_zone() -> None:
    assert conditions.moment(NOW) == "2026-11-23 07:10 UTC"
    assert conditions.moment(NOW, ZoneInfo("Asia/Kolkata")) == "2026-11-23 12:40 IST"


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "$0.00"),
        (1_000, "$0.000001"),
        (9_999_999, "$0.009999999"),
        (10_000_000, "$0.01"),
        (1_234_567_899_999_999, "$1,234,567.89"),
    ],
)
def test_amounts_are_told_to_the_cent_and_small_ones_whole(nano: int, text: str) -> None:
    assert conditions.dollars(Money(nano)) == text


def test_a_message_names_one_and_counts_many() -> None:
    some = [Condition(f"s{n}", f"n{n}", "words", "2026-11") for n in range(22)]
    kind = AlertKind.BUDGET_REACHED
    one = notice_of("id", NoticeState.FIRING, kind, some[:1], NOW)
    assert (one.title, one.lines) == ("Budget spent: n0", ("n0: words",))
    many = notice_of("id", NoticeState.FIRING, kind, some, NOW)
    assert many.title == "Budget spent: 22 of them"
    assert many.lines[-2:] == ("n19: words", "and 2 more: the alerts page has them all")


def test_the_end_says_whether_more_can_come() -> None:
    spent = Condition("s", "n", "words", "2026-11")
    end = notice_of("id", NoticeState.RESOLVED, AlertKind.BUDGET_REACHED, [spent], NOW)
    assert end.title == "Resolved: Budget spent: n"
    assert end.lines[1] == "Of the same budget nothing more is told before its window ends."
    lag = notice_of(
        "id", NoticeState.RESOLVED, AlertKind.OUTBOX_LAG, [replace(spent, window="")], NOW
    )
    assert lag.lines == ("n: words",)


def test_a_name_can_write_no_line_of_a_message() -> None:
    hostile = Condition("s", "ann\r\nBcc: all@example.com", "a\x1b[31m")
    notice = notice_of("id", NoticeState.FIRING, AlertKind.BUDGET_REACHED, [hostile], NOW)
    assert notice.title == "Budget spent: ann  Bcc: all@example.com"
    assert notice.lines == ("ann  Bcc: all@example.com: a [31m",)


def test_pauses_grow_and_have_an_end() -> None:
    pauses = [retry_after(number).total_seconds() for number in range(1, MOST_ATTEMPTS)]
    assert pauses[:4] == [15, 30, 60, 120]
    assert pauses == sorted(pauses)
    assert sum(pauses) == pytest.approx(2.5 * 3600, rel=0.05)


def test_every_kind_has_a_default_within_its_bounds_and_three_are_recommended() -> None:
    assert set(SPECS) == set(AlertKind)
    for spec in SPECS.values():
        assert spec.low <= spec.threshold <= spec.high
        assert spec.cool_down <= MOST_COOL_DOWN
    assert sum(spec.is_recommended for spec in SPECS.values()) == 3


def test_the_docs_have_every_rule_with_its_default() -> None:
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    told = dict(re.findall(r"(?m)^\| `(\w+)` \| .* \| ([\d,]+)[^|]* \| [^|]+ \|$", page))
    assert told == {kind.value: f"{spec.threshold:,}" for kind, spec in SPECS.items()}
