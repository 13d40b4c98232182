"""The vendors' list prices, as the registry's rows find them."""

import re
from datetime import UTC, datetime, timedelta

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices.types import ModelPrice, TimeOfDateConstraint

from ai_gateway.domain.pricing import cost_of
from ai_gateway.domain.usage import Usage
from ai_gateway.providers.provider import ProviderRow
from ai_gateway.providers.registry import PROVIDER_ROWS
from ai_gateway.stores.catalog import PRICES_HOLD_MINUTES, Catalog, Source

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
USAGE = Usage(input_tokens=250_000, cached_input_tokens=40_000, output_tokens=7_000)
CATALOG = Catalog(
    {row.name: Source(row.price_ids, row.name, row.model_names) for row in PROVIDER_ROWS}
)
each_priced_row = pytest.mark.parametrize(
    "row", [row for row in PROVIDER_ROWS if row.price_ids], ids=lambda row: row.name
)


def row_id(provider: str, model: str, tier: str | None = None, at: datetime = NOON) -> str | None:
    row = CATALOG.row(provider, model, tier, at)
    return row.row_id if row else None


def input_rate(provider: str, model: str, at: datetime) -> int:
    row = CATALOG.row(provider, model, None, at)
    assert row is not None
    return row.rates_for(1).input


@each_priced_row
def test_every_listed_model_has_a_price_and_a_name_that_resolves(row: ProviderRow) -> None:
    models = CATALOG.models(row.name)
    assert models
    assert models == sorted(set(models))
    for model in models:
        found = CATALOG.row(row.name, model, None, NOON)
        assert found is not None, model
        assert (found.provider, CATALOG.knows(row.name, model)) == (row.name, True)
        assert len(found.row_id) <= 200


@each_priced_row
def test_cost_is_that_of_the_library(row: ProviderRow) -> None:
    """The library's own arithmetic is the oracle; its prices of a third of a cent we round up."""
    usage = genai_prices.Usage(
        input_tokens=USAGE.input_tokens,
        cache_read_tokens=USAGE.cached_input_tokens,
        output_tokens=USAGE.output_tokens,
    )
    for model in CATALOG.models(row.name)[:: 1 if len(CATALOG.models(row.name)) < 99 else 9]:
        found = CATALOG.row(row.name, model, None, NOON)
        assert found is not None
        listed = next(
            listed
            for listed in _listed_models(row)
            if listed.id == found.model and listed.is_match(model)
        )
        oracle = listed.calc_price(
            usage, _provider_of(row), genai_request_timestamp=NOON, auto_update_timestamp=None
        )
        assert cost_of(found, USAGE).total == round(oracle.total_price * 10**9), model


def test_azures_own_price_comes_before_that_of_openai() -> None:
    own = CATALOG.row("azure", "o3-mini", None, NOON)
    vendors = CATALOG.row("azure", "gpt-4o-mini", None, NOON)
    assert own is not None
    assert vendors is not None
    assert (own.row_id, vendors.row_id) == ("azure/o3-mini", "azure/gpt-4o-mini")
    assert vendors.tiers == CATALOG.row("openai", "gpt-4o-mini", None, NOON).tiers  # type: ignore[union-attr]  # it is known


def test_gemini_offers_no_models_of_others() -> None:
    assert all(re.match(r"gem(ini|ma)", name) for name in CATALOG.models("gemini"))
    assert row_id("gemini", "gemini-2.5-flash") == "gemini/gemini-2.5-flash"
    assert not CATALOG.knows("gemini", "claude-haiku-4-5")


def test_names_are_those_that_the_vendor_is_asked_for() -> None:
    name = "accounts/fireworks/models/deepseek-v3p2"
    assert name in CATALOG.models("fireworks")
    assert row_id("fireworks", name) == "fireworks/deepseek-v3p2"
    assert not CATALOG.knows("fireworks", "deepseek-v3p2")


def test_families_of_fine_tuned_models_are_not_offered_but_variants_are() -> None:
    assert not any(":" in name for name in CATALOG.models("openai"))
    assert any(name.endswith(":batch") for name in CATALOG.models("openrouter"))


@pytest.mark.parametrize("model", ["sonar-pro", "sonar-deep-research"])
def test_model_with_a_fee_that_no_token_stands_for_is_unpriced(model: str) -> None:
    assert CATALOG.knows("perplexity", model)
    assert row_id("perplexity", model) is None
    assert model not in CATALOG.models("perplexity")


def test_price_of_a_third_of_a_cent_is_rounded_up() -> None:
    row = CATALOG.row("openrouter", "google/gemini-2.5-flash", None, NOON)
    assert row is not None
    # 0.0833333333333333 USD for a million tokens.
    assert row.rates_for(1).cache_write == 83_334


@pytest.mark.parametrize(
    ("tier", "suffix"),
    [
        (None, ""),
        ("auto", ""),
        ("default", ""),
        ("standard", ""),
        ("on_demand", ""),
        ("flex", ":flex"),
        ("priority", ":priority"),
    ],
)
def test_service_tier_counts_where_it_has_a_price(tier: str | None, suffix: str) -> None:
    assert row_id("openai", "gpt-5.4", tier) == f"openai/gpt-5.4{suffix}"
    assert row_id("groq", "llama-3.1-8b-instant", tier) == "groq/llama-3.1-8b-instant"


def test_price_of_the_time_of_day_is_that_of_the_moment_asked_for() -> None:
    day = NOON.replace(hour=0)
    rates = {
        hour: input_rate("deepseek", "deepseek-flash", day.replace(hour=hour)) for hour in range(24)
    }
    peak = {hour for hour, rate in rates.items() if rate == 2 * min(rates.values())}
    assert peak == {1, 2, 3, 6, 7, 8, 9}


def test_price_that_changes_at_half_past_changes_at_half_past() -> None:
    at = NOON.replace(hour=16, minute=29, second=59)
    before = input_rate("deepseek", "deepseek-reasoner", at)
    after = input_rate("deepseek", "deepseek-reasoner", at + timedelta(seconds=1))
    assert (before, after) == (550_000, 135_000)
    assert input_rate("deepseek", "deepseek-reasoner", at) == before


def test_prices_change_on_full_and_half_hours_only() -> None:
    for listed in data_snapshot.get_snapshot().providers:
        for model in listed.models:
            for conditional in [] if isinstance(model.prices, ModelPrice) else model.prices:
                rule = conditional.constraint
                if isinstance(rule, TimeOfDateConstraint):
                    for time in (rule.start_time, rule.end_time):
                        assert time.minute % PRICES_HOLD_MINUTES == time.second == 0, model.id
                        assert time.utcoffset() in {None, timedelta(0)}


def test_limits_are_found_by_our_names_of_providers() -> None:
    without = {"deepinfra", "openrouter", "perplexity", "ollama", "vllm"}
    for row in PROVIDER_ROWS:
        known = [CATALOG.limits(row.name, m).max_output_tokens for m in CATALOG.models(row.name)]
        assert any(known) is (row.name not in without), row.name


def _listed_models(row: ProviderRow) -> list[genai_prices.types.ModelInfo]:
    providers = {listed.id: listed for listed in data_snapshot.get_snapshot().providers}
    return [model for name in row.price_ids for model in providers[name].models]


def _provider_of(row: ProviderRow) -> genai_prices.types.Provider:
    providers = {listed.id: listed for listed in data_snapshot.get_snapshot().providers}
    return providers[row.price_ids[0]]
