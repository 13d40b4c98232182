"""Which limits hold where nothing was chosen, and which pause stops a call."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ai_gateway.domain.house_rules import (
    EVERYTHING,
    NO_RULES,
    Pause,
    PauseTarget,
    provider_pause,
    user_pause,
)
from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit, LimitKind
from ai_gateway.domain.money import Money


def amount(nano_usd: int) -> Limit:
    return Limit(LimitKind.AMOUNT, Money(nano_usd))


def paused(target: PauseTarget = EVERYTHING) -> Pause:
    return Pause(target, target.subject, "Keys leaked.", datetime(2026, 11, 25, tzinfo=UTC), "ada")


def test_a_choice_stands_before_the_rules_also_where_it_is_no_limit_or_nothing() -> None:
    rules = replace(NO_RULES, limits=tuple(amount(number) for number in range(len(BUDGETS))))
    chosen = (None, NO_LIMIT, amount(0), None, amount(9))
    assert rules.in_force(chosen) == (amount(0), NO_LIMIT, amount(0), amount(3), amount(9))


def test_without_a_pause_nobody_is_stopped() -> None:
    assert NO_RULES.pause_of(7, "openai") is None


class TestPauseOf:
    """Which pause stops a call: the widest."""

    RULES = replace(
        NO_RULES,
        pauses={target: paused(target) for target in (provider_pause("openai"), user_pause(7))},
    )

    @pytest.mark.parametrize(
        ("user_id", "provider", "expected"),
        [
            (7, "openai", provider_pause("openai")),
            (7, "groq", user_pause(7)),
            (8, "openai", provider_pause("openai")),
            (8, "groq", None),
            (7, "", user_pause(7)),
        ],
    )
    def test_of_some(self, user_id: int, provider: str, expected: PauseTarget | None) -> None:
        found = self.RULES.pause_of(user_id, provider)
        assert (found.target if found else None) == expected

    def test_of_everything(self) -> None:
        rules = replace(self.RULES, pauses={**self.RULES.pauses, EVERYTHING: paused()})
        assert rules.pause_of(7, "openai") == paused()
