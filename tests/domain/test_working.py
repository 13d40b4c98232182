"""The arithmetic of a charge, worked out once more."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.money import Money
from ai_gateway.domain.pricing import CostLine, PriceRow, cost_of
from ai_gateway.domain.usage import Usage
from ai_gateway.domain.working import Basis, Working, rounding_of, worked_out
from tests.domain.facts import price_rows, usages

LINES = (CostLine("input", 3, 500), CostLine("output", 1, 1_000))
"""2,500 pico-USD: just between 2 and 3 nano-USD."""


@given(price_rows(), usages())
def test_the_lines_of_a_cost_work_out_to_it(row: PriceRow, usage: Usage) -> None:
    cost = cost_of(row, usage)
    assert worked_out(Working(Basis.PRICES, cost.lines), Money(0)) == cost.total
    assert {line.row_id for line in cost.lines} <= {row.row_id}


@given(st.lists(st.integers(0, 10**12)))
def test_the_rounding_is_that_of_decimals(amounts: list[int]) -> None:
    rounding = rounding_of([CostLine("input", 1, amount) for amount in amounts])
    exact = Decimal(sum(amounts)) / 1000
    assert rounding.rounded == exact.to_integral_value(ROUND_HALF_EVEN)
    assert rounding.whole * 1000 + rounding.left_over == rounding.pico_usd
    assert rounding.is_up == (rounding.rounded > exact)


@pytest.mark.parametrize(
    ("basis", "held", "cost"),
    [(Basis.PRICES, 1, 2), (Basis.HOLD, 1, 1), (Basis.HOLD, 9, 2), (Basis.PROVIDER, 1, 7)],
)
def test_the_basis_decides_the_total(basis: Basis, held: int, cost: int) -> None:
    assert worked_out(Working(basis, LINES, stated=Money(7)), Money(held)) == cost


def test_a_tie_goes_to_the_even_nano_dollar() -> None:
    tie = rounding_of(LINES)
    assert (tie.whole, tie.left_over, tie.rounded, tie.is_tie) == (2, 500, 2, True)
    assert rounding_of([*LINES, CostLine("tool", 1, 1_000)]).rounded == 4
