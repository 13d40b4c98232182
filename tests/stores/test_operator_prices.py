"""The operator's prices and limits, before those of the vendors' lists."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ai_gateway.domain.pricing import PriceRow, cost_of, plan_hold
from ai_gateway.domain.usage import Usage
from ai_gateway.stores.catalog import Catalog, KnownLimits, ModelLimits, Source
from ai_gateway.stores.operator_prices import holds_in_tier, operator_row, outranks

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
OPENAI = Source(("openai",), "openai")
SOURCES = {"openai": OPENAI, "lab": Source()}


def amounts(**usd: str) -> dict[str, Decimal]:
    return {name: Decimal(text) for name, text in usd.items()}


def lab_row(tier: tuple[int, Mapping[str, Decimal]] | None = None, **usd: str) -> PriceRow:
    return operator_row("lab", "our-model", amounts(**usd), tier)


def catalog(rows: Iterable[PriceRow] = ()) -> Catalog:
    return Catalog(SOURCES, rows)


ROW = lab_row(input="0.15", cached_input="0.075", output="0.60")
TIERED = lab_row(
    (200_000, amounts(input="0.30", output="1.20")),
    input="0.15",
    cached_input="0.075",
    cache_write="0.2",
    output="0.60",
)


# Rows


def test_amounts_become_exact_rates() -> None:
    rates = lab_row(input="0.15", output="0.000001").rates_for(1)
    assert (rates.input, rates.output) == (150_000, 1)


def test_row_is_named_after_its_origin() -> None:
    assert (ROW.row_id, ROW.provider, ROW.model) == ("operator/lab/our-model", "lab", "our-model")


def test_kind_without_a_price_costs_what_its_parent_costs() -> None:
    rates = lab_row(input="1", cached_input="0.1", cache_write="2", output="3").rates_for(1)
    assert rates.cached_audio == rates.cached_input == 100_000
    assert rates.cache_write_long == rates.cache_write == 2_000_000
    assert {rates.audio_input, rates.image_input} == {1_000_000}
    assert {rates.reasoning, rates.audio_output, rates.image_output} == {3_000_000}
    bare = lab_row(input="1", output="3").rates_for(1)
    assert {bare.cached_input, bare.cache_write, bare.cache_write_long} == {1_000_000}


def test_long_writes_have_a_price_of_their_own() -> None:
    assert lab_row(input="1", cache_write_long="4", output="3").rates_for(1) == lab_row(
        input="1", cache_write="1", cache_write_long="4", output="3"
    ).rates_for(1)


def test_tier_holds_for_the_whole_request_above_its_threshold() -> None:
    assert TIERED.rates_for(200_000).input == 150_000
    assert TIERED.rates_for(200_001).input == 300_000
    assert TIERED.rates_for(200_001).output == 1_200_000


def test_cache_of_a_tier_with_dearer_input_is_never_cheaper_than_it_could_be() -> None:
    above = TIERED.rates_for(200_001)
    assert {above.cached_input, above.cache_write} == {above.input}


def test_tier_with_a_price_for_output_alone_keeps_the_others() -> None:
    row = lab_row((10, amounts(output="9")), input="1", cached_input="0.5", output="2")
    above = row.rates_for(11)
    assert (above.input, above.cached_input, above.output) == (1_000_000, 500_000, 9_000_000)


def test_tier_with_a_price_for_input_alone_keeps_that_of_output() -> None:
    row = lab_row((10, amounts(input="4")), input="1", output="2")
    assert row.rates_for(11).output == 2_000_000


@pytest.mark.parametrize("usd", ["0.0000001", "-1"])
def test_price_that_is_no_rate_is_refused(usd: str) -> None:
    with pytest.raises(ValueError, match="not exact"):
        lab_row(input=usd, output="1")


def test_hold_takes_the_dearest_tier() -> None:
    plan = plan_hold(TIERED, input_tokens=10, output_tokens=10)
    assert plan.amount() == (10 * 300_000 + 10 * 1_200_000) // 1000


def test_call_costs_what_the_operator_says() -> None:
    usage = Usage(input_tokens=1_000_000, cached_input_tokens=400_000, output_tokens=1_000_000)
    assert cost_of(ROW, usage).total == 90_000_000 + 30_000_000 + 600_000_000


# In the catalog


def test_operators_row_comes_before_the_list_as_a_whole() -> None:
    own = operator_row("openai", "gpt-4o-mini", amounts(input="1", output="1"))
    listed = catalog().row("openai", "gpt-4o-mini", None, NOON)
    assert listed is not None
    assert listed.rates_for(1).cached_input == 75_000
    assert catalog([own]).row("openai", "gpt-4o-mini", None, NOON) == own
    assert catalog([own]).row("openai", "gpt-4o", None, NOON) == catalog().row(
        "openai", "gpt-4o", None, NOON
    )


def test_operators_row_holds_in_every_service_tier() -> None:
    own = operator_row("openai", "gpt-5.4", amounts(input="1", output="1"))
    assert catalog([own]).row("openai", "gpt-5.4", "priority", NOON) == own
    listed = catalog().row("openai", "gpt-5.4", "priority", NOON)
    assert listed is not None
    assert listed.row_id == "openai/gpt-5.4:priority"


@pytest.mark.parametrize("tier", [None, "auto", "default", "standard", "flex", "unheard-of"])
def test_plain_row_holds_in_a_tier_that_is_not_dearer(tier: str | None) -> None:
    assert holds_in_tier(ROW, tier)
    assert holds_in_tier(listed_row("gpt-5.4", None), tier)


@pytest.mark.parametrize("tier", ["priority", "fast", "ultrafast"])
def test_dearer_tier_needs_a_row_of_its_own_or_the_operators(tier: str) -> None:
    assert holds_in_tier(ROW, tier)
    assert not holds_in_tier(listed_row("gpt-5.4", None), tier)
    # Nobody lists the third.
    assert holds_in_tier(listed_row("gpt-5.4", tier), tier) is (tier != "ultrafast")
    assert holds_in_tier(listed_row("gpt-5.4", tier).raised(10), tier) is (tier != "ultrafast")


def listed_row(model: str, tier: str | None) -> PriceRow:
    row = catalog().row("openai", model, tier, NOON)
    assert row is not None
    return row


def test_operators_row_holds_for_its_own_provider_alone() -> None:
    own = operator_row("lab", "gpt-4o-mini", amounts(input="1", output="1"))
    row = catalog([own]).row("openai", "gpt-4o-mini", None, NOON)
    assert row is not None
    assert row.row_id == "openai/gpt-4o-mini"


def test_name_is_exact_but_for_a_date() -> None:
    prices = catalog([ROW])
    for name in ("our-model", "our-model-2026-11-01", "our-model-20261101"):
        assert prices.row("lab", name, None, NOON) == ROW
        assert prices.knows("lab", name)
    for name in ("our-model-2", "our-mode", "Our-model", "our-model-"):
        assert prices.row("lab", name, None, NOON) is None
        assert not prices.knows("lab", name)


def test_dated_name_of_the_list_comes_before_the_operators_undated_one() -> None:
    own = operator_row("openai", "gpt-4o", amounts(input="1", output="1"))
    row = catalog([own]).row("openai", "gpt-4o-2024-05-13", None, NOON)
    assert row is not None
    assert row.row_id == "openai/gpt-4o-2024-05-13"


def test_what_is_served_under_a_dated_name_costs_what_the_operator_says() -> None:
    own = operator_row("openai", "gpt-4o", amounts(input="1", output="1"))
    dated = operator_row("openai", "gpt-4o-2024-05-13", amounts(input="2", output="2"))
    listed = catalog().row("openai", "gpt-4o-2024-05-13", None, NOON)
    assert listed is not None
    assert outranks(own, listed, "gpt-4o-2024-05-13")
    assert not outranks(own, dated, "gpt-4o-2024-05-13")
    assert not outranks(own, listed, "gpt-4.1-mini")
    assert not outranks(listed, own, "gpt-4o")
    assert not outranks(listed, listed, "gpt-4o")


def test_models_with_an_operators_price_are_listed() -> None:
    assert catalog([ROW]).models("lab") == ["our-model"]
    own = operator_row("openai", "our-tune", amounts(input="1", output="1"))
    listed = catalog([own]).models("openai")
    assert listed == sorted([*catalog().models("openai"), "our-tune"])


def test_provider_that_nobody_priced_has_no_models() -> None:
    assert catalog().models("lab") == catalog().models("nobody") == []
    assert catalog().row("nobody", "our-model", None, NOON) is None


def test_name_of_the_book_covers_the_operators_rows() -> None:
    plain = catalog().book_id
    books = {
        plain,
        catalog([ROW]).book_id,
        catalog([lab_row(input="0.16", cached_input="0.075", output="0.60")]).book_id,
        catalog([TIERED]).book_id,
    }
    assert len(books) == 4
    assert all(book.startswith(plain) and len(book) <= 64 for book in books)


def test_name_of_the_book_does_not_depend_on_the_order_of_rows() -> None:
    other = operator_row("lab", "other", amounts(input="1", output="1"))
    assert catalog([ROW, other]).book_id == catalog([other, ROW]).book_id
    assert catalog([ROW]).book_id == catalog([ROW]).book_id


# Limits


def limits(said: KnownLimits, model: str = "gpt-4o-mini") -> ModelLimits:
    return Catalog(SOURCES, (), {("openai", "gpt-4o-mini"): said}).limits("openai", model)


def test_limits_of_the_file_come_before_those_of_the_data() -> None:
    assert limits(KnownLimits()) == ModelLimits(16_384, 128_000, 10_000)
    assert limits(KnownLimits(1, 2, 3)) == ModelLimits(1, 2, 3)


def test_limit_that_the_file_leaves_out_is_that_of_the_data() -> None:
    assert limits(KnownLimits(media_hold_tokens=7)) == ModelLimits(16_384, 128_000, 7)
    assert limits(KnownLimits(context_tokens=7)) == ModelLimits(16_384, 7, 10_000)


def test_limits_hold_for_a_dated_name_too() -> None:
    assert limits(KnownLimits(1, 2, 3), "gpt-4o-mini-2030-01-01") == ModelLimits(1, 2, 3)


def test_limits_of_a_model_that_nobody_knows() -> None:
    assert catalog().limits("lab", "our-model") == ModelLimits(None, 1_000_000, 10_000)
