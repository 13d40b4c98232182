"""Our arithmetic against the library's own, for every model of the vendors and any usage."""

import random
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import genai_prices
import pytest
from genai_prices import data_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider

from ai_gateway.domain.pricing import PriceRow, cost_of
from ai_gateway.domain.usage import Usage
from ai_gateway.providers.registry import ROWS_BY_NAME
from ai_gateway.stores.catalog import Catalog, Source

VENDORS = ("openai", "anthropic")
CATALOG = Catalog({name: Source(ROWS_BY_NAME[name].price_ids, name) for name in VENDORS})
PROVIDERS = {listed.id: listed for listed in data_snapshot.get_snapshot().providers}
OUTPUT_RATES = {"output", "reasoning", "audio_output", "image_output"}
NAMES = [(vendor, name) for vendor in VENDORS for name in CATALOG.models(vendor)]
NOW = datetime(2026, 11, 25, 12, 30, tzinfo=UTC)
MOMENTS = (NOW, datetime(2025, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
TIERS = (None, "auto", "default", "flex", "priority", "fast", "unheard-of")
USAGES_FOR_EACH = 12


def usages(name: str, model: ModelInfo) -> Iterator[Usage]:
    """The same for each name at every run, small and large ones, with every kind of token."""
    chance = random.Random(name)  # not for secrets
    for _ in range(USAGES_FOR_EACH):
        most = 10 ** chance.randint(0, 7)
        counts = {
            field.name: chance.randint(0, most) if chance.random() < 0.6 else 0
            for field in fields(Usage)
        }
        if not has_price_of_cached_audio(model):
            counts["cached_audio_tokens"] = 0
        yield Usage(**counts).clamped()


def has_price_of_cached_audio(model: ModelInfo) -> bool:
    """Where audio is dearer than text and nothing cached has a price, we differ (see below)."""
    return all(
        price.input_audio_mtok is None or price.cache_read_mtok for price in prices_of(model)
    )


def prices_of(model: ModelInfo) -> list[ModelPrice]:
    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    return [conditional.prices for conditional in model.prices]


def as_the_library_has_it(usage: Usage) -> genai_prices.Usage:
    counts = {
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens + usage.cache_write_long_tokens,
        "cache_write_1h_tokens": usage.cache_write_long_tokens,
        "input_audio_tokens": usage.audio_input_tokens,
        "cache_audio_read_tokens": usage.cached_audio_tokens,
        "input_image_tokens": usage.image_input_tokens,
        "cache_image_read_tokens": 0,
        "cache_image_write_tokens": 0,
        "cache_audio_write_tokens": 0,
        "output_tokens": usage.output_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "output_image_tokens": usage.image_output_tokens,
        "web_searches": usage.web_searches,
    }
    return genai_prices.Usage(**counts)


def listed_model(vendor: str, name: str) -> tuple[Provider, ModelInfo]:
    """What the library itself takes a name for."""
    provider = PROVIDERS[vendor]
    model = provider.find_model(name)
    assert model is not None
    return provider, model


def nano_usd_of(amount: Decimal) -> int:
    return int((amount * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def row_of(vendor: str, name: str, tier: str | None = None, at: datetime = NOW) -> PriceRow:
    row = CATALOG.row(vendor, name, tier, at)
    assert row is not None
    return row


def test_there_are_enough_names_to_tell() -> None:
    assert len(NAMES) > 200


@pytest.mark.parametrize(("vendor", "name"), NAMES)
def test_cost_of_any_usage_is_that_of_the_library(vendor: str, name: str) -> None:
    provider, model = listed_model(vendor, name)
    for usage in usages(name, model):
        for moment in MOMENTS:
            oracle = model.calc_price(
                as_the_library_has_it(usage), provider, genai_request_timestamp=moment
            )
            cost = cost_of(row_of(vendor, name, at=moment), usage)
            assert cost.total == nano_usd_of(oracle.total_price), usage


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("vendor", VENDORS)
def test_cost_in_any_service_tier_is_that_of_the_library(vendor: str, tier: str | None) -> None:
    for name in CATALOG.models(vendor):
        provider, model = listed_model(vendor, name)
        for usage in list(usages(name, model))[:3]:
            oracle = model.calc_price(
                as_the_library_has_it(usage),
                provider,
                genai_request_timestamp=NOW,
                price_context={"service_tier": tier, "speed": tier} if tier else None,
            )
            cost = cost_of(row_of(vendor, name, tier), usage)
            assert cost.total == nano_usd_of(oracle.total_price), (name, usage)


@pytest.mark.parametrize("threshold", [100_000, 200_000, 272_000])
def test_tier_of_long_requests_begins_where_the_library_has_it(threshold: int) -> None:
    tiered = 0
    for vendor, name in NAMES:
        provider, model = listed_model(vendor, name)
        costs = []
        for input_tokens in (threshold, threshold + 1):
            usage = Usage(input_tokens=input_tokens, output_tokens=1_000)
            oracle = model.calc_price(
                as_the_library_has_it(usage), provider, genai_request_timestamp=NOW
            )
            costs.append(cost_of(row_of(vendor, name), usage).total)
            assert costs[-1] == nano_usd_of(oracle.total_price), name
        tiered += costs[1] > costs[0] * 1.1
    assert tiered > 0


# What the catalogue relies on


def constraints_of(model: ModelInfo) -> Iterator[object]:
    rows: list[ConditionalPrice] = [] if isinstance(model.prices, ModelPrice) else model.prices
    for row in (*rows, *(model.price_variants or ())):
        if row.constraint is not None:
            yield row.constraint


@pytest.mark.parametrize("vendor", VENDORS)
def test_prices_of_the_vendors_change_at_midnight_only(vendor: str) -> None:
    for model in PROVIDERS[vendor].models:
        for constraint in constraints_of(model):
            assert type(constraint).__name__ == "StartDateConstraint", model.id


@pytest.mark.parametrize("vendor", VENDORS)
def test_price_that_changes_is_in_force_from_its_very_moment(vendor: str) -> None:
    changed = 0
    for model in PROVIDERS[vendor].models:
        for constraint in constraints_of(model):
            start = datetime.combine(
                constraint.start_date,  # type: ignore[attr-defined]  # the only kind
                datetime.min.time(),
                UTC,
            )
            for name in CATALOG.models(vendor):
                if listed_model(vendor, name)[1] is not model:
                    continue
                moments = (start - timedelta(microseconds=1), start)
                before, after = (row_of(vendor, name, at=moment) for moment in moments)
                old, new = (model.get_prices(moment) for moment in moments)
                assert (before == after) is (old == new), name
                changed += before != after
    assert changed > 0


@pytest.mark.parametrize(("vendor", "name"), NAMES)
def test_nothing_is_free_by_omission(vendor: str, name: str) -> None:
    _, model = listed_model(vendor, name)
    if any(price.input_mtok == 0 or price.output_mtok == 0 for price in prices_of(model)):
        return
    for moment in MOMENTS:
        row = row_of(vendor, name, at=moment)
        for tier in row.tiers:
            free = {f.name for f in fields(tier.rates) if getattr(tier.rates, f.name) <= 0}
            # What gives no output holds for embeddings alone.
            assert free == (set() if row.has_output else OUTPUT_RATES)


def test_every_row_without_a_price_for_output_is_of_an_embedding_model() -> None:
    rows = {name: row_of(vendor, name) for vendor, name in NAMES}
    without = {name for name, row in rows.items() if not row.has_output}
    assert {"text-embedding-3-small", "text-embedding-3-large"} <= without
    assert all("embed" in name for name in without)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "gpt",
        "gpt-4o-mini-",
        "GPT-4o-mini",
        "gpt-4o-mini ",
        "gpt-4o-mini-9999999",
        "my-gpt-4o-mini",
        "claude-haiku-4-5\n",
        "openai/gpt-4o-mini",
        "x" * 10_000,
    ],
    ids=lambda name: repr(name[:40]),
)
def test_name_that_nobody_listed_has_no_price(name: str) -> None:
    for vendor in VENDORS:
        assert CATALOG.row(vendor, name, None, NOW) is None
        assert not CATALOG.knows(vendor, name)


def test_model_of_one_vendor_is_unknown_at_another() -> None:
    assert CATALOG.row("anthropic", "gpt-4o-mini", None, NOW) is None
    assert CATALOG.row("nobody", "gpt-4o-mini", None, NOW) is None


@pytest.mark.parametrize(
    ("vendor", "dated", "plain"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "gpt-4.1-2025-04-14", "gpt-4.1"),
        ("anthropic", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic", "claude-opus-5-5-20991231", "claude-opus-5-5"),
    ],
)
def test_dated_name_is_priced_as_the_plain_one(vendor: str, dated: str, plain: str) -> None:
    assert row_of(vendor, dated).tiers == row_of(vendor, plain).tiers


def test_date_that_has_a_price_of_its_own_keeps_it() -> None:
    own, plain = row_of("openai", "gpt-4o-2024-05-13"), row_of("openai", "gpt-4o")
    assert own.row_id != plain.row_id
    assert own.tiers != plain.tiers


def test_words_of_a_client_never_grow_what_is_kept() -> None:
    for number in range(1_000):
        row_of("openai", "gpt-4o-mini", f"tier-{number}")
    assert len(CATALOG._rows) < 1_000


def test_fast_mode_of_anthropic_has_its_own_price() -> None:
    provider, model = listed_model("anthropic", "claude-opus-5")
    usage = Usage(input_tokens=1_000, output_tokens=1_000)
    oracle = model.calc_price(
        as_the_library_has_it(usage),
        provider,
        genai_request_timestamp=NOW,
        price_context={"speed": "fast"},
    )
    cost = cost_of(row_of("anthropic", "claude-opus-5", "fast"), usage)
    assert cost.total == nano_usd_of(oracle.total_price)


def test_cached_audio_without_a_price_costs_what_audio_costs() -> None:
    provider, model = listed_model("openai", "gpt-audio")
    assert not has_price_of_cached_audio(model)
    usage = Usage(
        input_tokens=10, cached_input_tokens=10, audio_input_tokens=10, cached_audio_tokens=10
    )
    oracle = model.calc_price(as_the_library_has_it(usage), provider, genai_request_timestamp=NOW)
    assert cost_of(row_of("openai", "gpt-audio"), usage).total == nano_usd_of(oracle.total_price)


def test_book_is_named_by_version_and_content() -> None:
    name, _, digest = CATALOG.book_id.rpartition("-")
    assert name.startswith("genai-prices-")
    assert len(digest) == 12
