"""What speaks against a newer list of prices."""

from dataclasses import replace

import pytest

from ai_gateway.domain.price_jumps import ListedPrice, doubts
from ai_gateway.domain.pricing import PriceRow, Rates, Tier
from tests.domain.facts import flat_rates

KNOWN = {("p", f"m{number}"): number for number in range(20)}


def listed(rates: Rates, *, is_dated: bool = False) -> ListedPrice:
    return ListedPrice(PriceRow("r", "p", "m", (Tier(-1, rates),)), is_dated=is_dated)


def a_list(
    changed: Rates | None = None, *, is_dated: bool = False
) -> dict[tuple[str, str], ListedPrice]:
    found = {key: listed(flat_rates(100, 100)) for key in KNOWN}
    if changed is not None:
        found["p", "m3"] = listed(changed, is_dated=is_dated)
    return found


@pytest.mark.parametrize(
    ("rate", "is_believed"), [(500, True), (501, False), (20, True), (19, False), (0, False)]
)
def test_price_may_move_five_times_without_a_date(rate: int, *, is_believed: bool) -> None:
    newer = a_list(replace(flat_rates(100, 100), output=rate))
    assert (not list(doubts(a_list(), newer))) is is_believed
    assert not list(doubts(a_list(), a_list(flat_rates(rate, rate), is_dated=True)))


def test_what_was_free_may_cost_something() -> None:
    assert not list(doubts(a_list(flat_rates(0, 0)), a_list()))


def test_fault_names_the_price() -> None:
    (fault,) = doubts(a_list(), a_list(replace(flat_rates(100, 100), cached_input=0)))
    assert fault == "cached_input of p/m3 becomes free"


def test_list_that_lost_models_is_not_believed() -> None:
    newer = a_list()
    for number in range(2):
        del newer["p", f"m{number}"]
    assert not list(doubts(a_list(), newer))
    del newer["p", "m2"]
    assert list(doubts(a_list(), newer)) == ["it knows only 17 of 20 models"]


def test_nothing_costs_less_than_nothing() -> None:
    newer = {**a_list(), ("p", "new"): listed(flat_rates(-1, 100))}
    assert list(doubts(a_list(), newer)) == ["p/new has a negative price"]
