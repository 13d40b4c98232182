"""Price x usage = cost, its parts, and the hold that bounds it."""

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.pricing import (
    NO_COST,
    RATE_NAMES,
    SEARCH_KIND,
    Cost,
    HoldPlan,
    PriceRow,
    Tier,
    cost_of,
    cost_of_all,
    plan_hold,
    stated,
)
from ai_gateway.domain.usage import Usage
from tests.domain.facts import flat_rates, flat_row, price_rows, usages, usages_within

GRANTS = st.integers(0, 10**13).map(Money)
BOUNDS = st.integers(0, 500_000)


@given(price_rows(), usages())
def test_cost_is_the_sum_of_tokens_times_rates_rounded_once(row: PriceRow, usage: Usage) -> None:
    rates = row.rates_for(usage.input_tokens)
    pico = sum(count * getattr(rates, kind) for kind, count in usage.disjoint().items())
    exact = Decimal(pico + usage.web_searches * (row.web_search or 0)) / 1000
    assert cost_of(row, usage).total == int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))


@given(price_rows(), usages())
def test_parts_of_a_cost_add_up_to_its_total(row: PriceRow, usage: Usage) -> None:
    cost = cost_of(row, usage)
    assert sum(cost.by_kind().values()) == cost.total
    assert all(amount >= 0 for amount in cost.by_kind().values())


@given(price_rows(), usages(), st.fractions(0, 1))
def test_parts_add_up_to_a_total_that_the_hold_bounds(
    row: PriceRow, usage: Usage, share: object
) -> None:
    cost = cost_of(row, usage)
    bounded = Cost(Money(int(cost.total * share)), cost.lines)  # type: ignore[operator]  # a fraction
    assert sum(bounded.by_kind().values()) == bounded.total
    assert all(amount >= 0 for amount in bounded.by_kind().values())


@given(price_rows(), usages())
def test_lines_name_kinds_from_a_closed_set(row: PriceRow, usage: Usage) -> None:
    kinds = {line.kind for line in cost_of(row, usage).lines}
    assert kinds <= {*RATE_NAMES, SEARCH_KIND}


def test_nano_dollars_left_by_rounding_go_to_the_largest_part() -> None:
    cost = cost_of(flat_row(input_rate=999, output_rate=1), Usage(input_tokens=1, output_tokens=1))
    assert cost.total == 1
    assert cost.by_kind() == {"input": 1, "output": 0}


def test_call_without_usage_costs_nothing_and_has_no_parts() -> None:
    assert cost_of(flat_row(input_rate=10**6), Usage()) == NO_COST
    assert NO_COST.by_kind() == {}


def test_a_million_calls_of_a_fraction_of_a_nano_dollar_are_not_a_nano_dollar_each() -> None:
    row = flat_row(cached_input=5_000)
    assert cost_of(row, Usage(input_tokens=1, cached_input_tokens=1)).total == Money(5)


def test_each_kind_of_token_has_its_own_price() -> None:
    row = PriceRow(
        "r",
        "lab",
        "m",
        (Tier(-1, flat_rates(**dict(zip(RATE_NAMES, range(1000, 12000, 1000), strict=True)))),),
    )
    usage = Usage(
        input_tokens=1 + 10 + 100 + 1_000 + 10_000 + 100_000 + 1_000_000,
        cached_input_tokens=10 + 100_000,
        cache_write_tokens=100,
        cache_write_long_tokens=1_000,
        audio_input_tokens=10_000 + 100_000,
        cached_audio_tokens=100_000,
        image_input_tokens=1_000_000,
        output_tokens=2 + 20 + 200 + 2_000,
        reasoning_tokens=20,
        audio_output_tokens=200,
        image_output_tokens=2_000,
    )
    assert {line.kind: (line.count, line.rate) for line in cost_of(row, usage).lines} == {
        "input": (1, 1000),
        "output": (2, 2000),
        "cached_input": (10, 3000),
        "cache_write": (100, 4000),
        "cache_write_long": (1_000, 5000),
        "audio_input": (10_000, 6000),
        "cached_audio": (100_000, 7000),
        "image_input": (1_000_000, 8000),
        "reasoning": (20, 9000),
        "audio_output": (200, 10000),
        "image_output": (2_000, 11000),
    }


def test_searches_are_paid_for_beside_the_tokens() -> None:
    row = PriceRow("r", "anthropic", "m", (Tier(-1, flat_rates(1000, 1000)),), web_search=10**10)
    cost = cost_of(row, Usage(input_tokens=1, web_searches=2))
    assert cost.by_kind() == {"input": 1, SEARCH_KIND: 2 * 10**7}


def test_search_without_a_price_is_told_and_costs_nothing_known() -> None:
    row, searched = flat_row(1000, 1000), Usage(input_tokens=1, web_searches=2)
    assert cost_of(row, searched).by_kind() == {"input": 1}
    assert not row.covers(searched)
    assert row.covers(Usage(input_tokens=1))
    assert replace(row, web_search=0).covers(searched)


def test_parts_of_several_models_have_their_own_prices_and_tiers_and_are_rounded_once() -> None:
    cheap = PriceRow("a", "lab", "a", (Tier(-1, flat_rates(300, 0)), Tier(1, flat_rates(10**6, 0))))
    usage = Usage(input_tokens=1)
    cost = cost_of_all([(cheap, usage), (flat_row(300), usage)])
    # Two thirds of a nano-dollar, and never the tier that both together would reach.
    assert cost.total == 1
    assert cost.by_kind() == {"input": 1}


@given(price_rows(), usages(), st.integers(1, 100))
def test_raised_row_costs_more_by_its_percentage_and_never_less(
    row: PriceRow, usage: Usage, percent: int
) -> None:
    plain = sum(line.pico_usd for line in cost_of(row, usage).lines if line.kind != SEARCH_KIND)
    raised = row.raised(percent)
    told = sum(line.pico_usd for line in cost_of(raised, usage).lines if line.kind != SEARCH_KIND)
    # No token is rounded up by a whole pico-dollar.
    assert 0 <= 100 * told - plain * (100 + percent) < 100 * sum(usage.disjoint().values()) + 1
    assert (raised.row_id, raised.web_search) == (f"lab/our-model+{percent}%", row.web_search)


def test_row_that_is_raised_by_nothing_stays_itself() -> None:
    row = flat_row(1000, 1000)
    assert row.raised(0) is row


@pytest.mark.parametrize(
    ("total", "kinds"),
    [
        (50_000, {"input": 10_000, "output": 20_000, SEARCH_KIND: 20_000}),
        (30_000, {"input": 10_000, "output": 20_000, SEARCH_KIND: 0}),
        (12_000, {"input": 10_000, "output": 2_000, SEARCH_KIND: 0}),
        (0, {"input": 0, "output": 0, SEARCH_KIND: 0}),
    ],
)
def test_stated_cost_is_the_total_and_what_it_has_beyond_the_tokens_was_for_tools(
    total: int, kinds: dict[str, int]
) -> None:
    row = PriceRow("r", "xai", "m", (Tier(-1, flat_rates(1_000_000, 2_000_000)),))
    cost = stated(Money(total), row, Usage(input_tokens=10, output_tokens=10))
    assert cost.total == total
    assert cost.by_kind() == kinds


@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        (Usage(input_tokens=10, output_tokens=10), {"input": 700, "output": 0}),
        (Usage(), {SEARCH_KIND: 700}),
    ],
)
def test_stated_cost_of_an_unpriced_model_is_told_whole(
    usage: Usage, kinds: dict[str, int]
) -> None:
    assert stated(Money(700), None, usage).by_kind() == kinds


@pytest.mark.parametrize(
    ("input_tokens", "rate"),
    [(0, 1), (200_000, 1), (200_001, 2), (272_000, 2), (272_001, 3), (10**9, 3)],
)
def test_tier_is_a_cliff_for_all_tokens_of_the_request(input_tokens: int, rate: int) -> None:
    tiers = (
        Tier(-1, flat_rates(1, 1)),
        Tier(200_000, flat_rates(2, 2)),
        Tier(272_000, flat_rates(3, 3)),
    )
    row = PriceRow("r", "lab", "m", tiers)
    assert row.rates_for(input_tokens) == flat_rates(rate, rate)
    lines = cost_of(row, Usage(input_tokens=input_tokens, output_tokens=1)).lines
    assert {line.rate for line in lines} == {rate}


def test_cached_tokens_count_towards_the_tier() -> None:
    row = PriceRow("r", "lab", "m", (Tier(-1, flat_rates(1)), Tier(10, flat_rates(5))))
    usage = Usage(input_tokens=11, cached_input_tokens=11)
    assert [line.rate for line in cost_of(row, usage).lines] == [5]


@given(price_rows(), BOUNDS, BOUNDS, st.data())
def test_hold_covers_every_usage_within_its_bounds(
    row: PriceRow, input_tokens: int, output_tokens: int, data: st.DataObject
) -> None:
    plan = plan_hold(row, input_tokens=input_tokens, output_tokens=output_tokens)
    usage = data.draw(usages_within(input_tokens, output_tokens))
    assert usage.is_consistent
    assert cost_of(row, usage).total <= plan.amount()


@given(price_rows(), BOUNDS, BOUNDS, GRANTS)
def test_affordable_output_never_exceeds_the_grant(
    row: PriceRow, input_tokens: int, output_tokens: int, granted: Money
) -> None:
    plan = plan_hold(row, input_tokens=input_tokens, output_tokens=output_tokens)
    affordable = plan.affordable_output_tokens(granted)
    assert 0 <= affordable <= output_tokens
    assert affordable == 0 or plan.amount(affordable) <= granted


@given(price_rows(), BOUNDS, st.integers(1, 500_000), GRANTS)
def test_one_more_output_token_would_exceed_the_grant(
    row: PriceRow, input_tokens: int, output_tokens: int, granted: Money
) -> None:
    plan = plan_hold(row, input_tokens=input_tokens, output_tokens=output_tokens)
    affordable = plan.affordable_output_tokens(granted)
    assert affordable == output_tokens or plan.amount(affordable + 1) > granted


@given(price_rows(), BOUNDS, BOUNDS)
def test_whole_hold_affords_the_whole_plan(
    row: PriceRow, input_tokens: int, output_tokens: int
) -> None:
    plan = plan_hold(row, input_tokens=input_tokens, output_tokens=output_tokens)
    assert plan.affordable_output_tokens(plan.amount()) == output_tokens


@pytest.mark.parametrize(
    ("plan", "granted", "tokens"),
    [
        pytest.param(HoldPlan(5_000, 1_000, 100), 4, 0, id="not even the input"),
        pytest.param(HoldPlan(5_000, 1_000, 100), 5, 0, id="the input alone"),
        pytest.param(HoldPlan(5_000, 1_000, 100), 6, 1, id="one token"),
        pytest.param(HoldPlan(5_000, 1_000, 100), 10**6, 100, id="no more than planned"),
        pytest.param(HoldPlan(5_000, 0, 100), 6, 100, id="output is free"),
        pytest.param(HoldPlan(0, 3_000, 100), 8, 2, id="rounded down"),
    ],
)
def test_affordable_output(plan: HoldPlan, granted: int, tokens: int) -> None:
    assert plan.affordable_output_tokens(Money(granted)) == tokens


def test_hold_is_rounded_up() -> None:
    assert HoldPlan(1, 0, 0).amount() == Money(1)
    assert HoldPlan(0, 0, 10).amount() == ZERO


def test_hold_takes_the_dearest_tier() -> None:
    row = PriceRow(
        "r", "lab", "m", (Tier(-1, flat_rates(1000, 5000)), Tier(9, flat_rates(2000, 3000)))
    )
    assert plan_hold(row, input_tokens=1, output_tokens=1).amount() == 2 + 5


@pytest.mark.parametrize("name", RATE_NAMES)
def test_hold_takes_the_dearest_kind_whichever_it_is(name: str) -> None:
    row = flat_row(1_000, 1_000, **{name: 9_000})
    plan = plan_hold(row, input_tokens=1, output_tokens=1)
    assert plan.amount() == 1 + 9
