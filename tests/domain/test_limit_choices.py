"""What was chosen for a budget, which one decides, and how amounts are read."""

from datetime import UTC, datetime

import pytest

from ai_gateway.domain.limit_choices import (
    INSTALLATION,
    USER_DEFAULTS,
    BudgetStanding,
    LimitSubject,
    choice_word,
    is_over,
    read_usd,
    seal,
    tightest,
)
from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Budget,
    BudgetState,
    Limit,
    LimitKind,
    Scope,
)
from ai_gateway.domain.money import NANO_PER_USD, Money

MONTH, USER_DAY, USER_MONTH, KEY_DAY, KEY_MONTH = BUDGETS
NOW = datetime(2026, 11, 25, tzinfo=UTC)


def usd(whole: int, kind: LimitKind = LimitKind.AMOUNT) -> Limit:
    return Limit(kind, Money(whole * NANO_PER_USD))


def standing(budget: Budget, limit: Limit, spent: int = 0, held: int = 0) -> BudgetStanding:
    return BudgetStanding(
        budget,
        limit,
        spent=Money(spent * NANO_PER_USD),
        held=Money(held * NANO_PER_USD),
        is_refused=False,
        resets_at=NOW,
    )


def test_each_subject_has_the_budgets_of_its_scope() -> None:
    assert INSTALLATION.budgets == (MONTH,)
    assert USER_DEFAULTS.budgets == (USER_DAY, USER_MONTH)
    assert LimitSubject(Scope.KEY, 7).budgets == (KEY_DAY, KEY_MONTH)
    assert (USER_DEFAULTS.is_common, LimitSubject(Scope.USER, 7).is_common) == (True, False)


def test_the_budget_with_the_least_room_decides_whatever_its_limit() -> None:
    month, day = standing(MONTH, usd(1000), 998), standing(USER_DAY, usd(5), 1, 1)
    assert tightest([month, day]) is month
    assert tightest([standing(MONTH, usd(1000), 990), day]) is day


def test_what_only_warns_and_what_has_no_limit_decides_nothing() -> None:
    warns = standing(USER_DAY, usd(1, LimitKind.WARN), 5)
    free = standing(USER_MONTH, NO_LIMIT, 5)
    assert tightest([warns, free]) is None
    assert warns.state is BudgetState.EXCEEDED


def test_room_is_never_negative() -> None:
    assert standing(USER_DAY, usd(5), 4, 3).room == 0


@pytest.mark.parametrize(
    ("limit", "over"),
    [(usd(5), True), (usd(6), False), (usd(0), True), (NO_LIMIT, False)],
)
def test_a_limit_is_over_once_what_is_spent_reaches_it(limit: Limit, *, over: bool) -> None:
    assert is_over(Money(5 * NANO_PER_USD), limit) is over


@pytest.mark.parametrize(
    ("limit", "word"),
    [
        (None, "inherit"),
        (NO_LIMIT, "none"),
        (usd(0), "0.00"),
        (usd(5), "5.00"),
        (usd(5, LimitKind.WARN), "5.00 warn"),
    ],
)
def test_every_choice_has_a_word_of_its_own(limit: Limit | None, word: str) -> None:
    assert choice_word(limit) == word
    assert seal({USER_MONTH: None, USER_DAY: limit}) == f"day={word} month=inherit"


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("12.50", 12_500_000_000),
        (" $1,000 ", 1_000_000_000_000),
        ("0.000000001", 1),
        ("9000000", 9_000_000_000_000_000),
    ],
)
def test_an_amount_is_read_to_the_last_digit(text: str, nano: int) -> None:
    assert read_usd(text) == nano


@pytest.mark.parametrize(
    "text", ["", "five", "-1", "9000000.01", "0.0000000001", "NaN", "Infinity", "1e-20"]
)
def test_what_is_no_amount_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="Write an amount in USD"):
        read_usd(text)
