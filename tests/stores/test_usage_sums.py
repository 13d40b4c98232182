"""Sums of the roll-ups, on every database that we serve."""

from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from ai_gateway.stores.usage_sums import Part, Step, UsageSums, UsageSumsStore
from tests.seeding import NOW, add_usage

HOUR = datetime(2026, 11, 23, 7, tzinfo=NOW.tzinfo)
DAY = HOUR.replace(hour=0)


@pytest.fixture
def store(sql_database: str) -> UsageSumsStore:
    return UsageSumsStore()


@pytest.mark.parametrize("part", [Part(Step.HOUR, HOUR, None), Part(Step.DAY, DAY, None)])
def test_models_are_summed_over_users(store: UsageSumsStore, part: Part) -> None:
    add_usage(HOUR, 1, "openai", cost_nano_usd=5, requests=2, input_tokens=10, output_tokens=1)
    add_usage(HOUR, 2, "openai", cost_nano_usd=6, requests=3, cached_input_tokens=4, failures=1)
    add_usage(HOUR, 1, "anthropic", model="claude", cost_nano_usd=12, cancellations=1, unpriced=1)
    first, second = store.series(part)
    assert (first.provider, first.model, first.sums.unpriced) == ("anthropic", "claude", 1)
    assert (second.sums.requests, second.sums.tokens, second.sums.cost) == (5, 11, 11)
    assert (second.sums.failures, second.sums.cached_input_tokens) == (1, 4)


def test_parts_of_hours_and_days_add_up_and_end_before_their_end(store: UsageSumsStore) -> None:
    for hours_ago in range(60):
        add_usage(HOUR - timedelta(hours=hours_ago), 1, cost_nano_usd=1)
    parts = (
        Part(Step.HOUR, DAY - timedelta(hours=26), DAY - timedelta(hours=24)),
        Part(Step.DAY, DAY - timedelta(days=1), DAY),
        Part(Step.HOUR, DAY, HOUR),
    )
    found = store.series(*parts)
    assert [sum(row.sums.cost for row in found if row.part == part) for part in range(3)] == [
        2,
        24,
        7,
    ]


def test_one_users_sums_leave_out_everybody_else(store: UsageSumsStore) -> None:
    add_usage(HOUR, 1, cost_nano_usd=5)
    add_usage(HOUR, 2, cost_nano_usd=7)
    (mine,) = store.series(Part(Step.DAY, DAY, None), user_id=1)
    assert mine.sums.cost == 5
    assert [row.sums.cost for row in store.series(Part(Step.DAY, DAY, None), user_id=2)] == [7]


def test_a_series_has_one_row_for_each_hour_and_model(store: UsageSumsStore) -> None:
    add_usage(HOUR, 1, cost_nano_usd=5)
    add_usage(HOUR, 2, cost_nano_usd=6)
    add_usage(HOUR - timedelta(hours=1), 1, model="gpt-4.1", cost_nano_usd=7)
    rows = store.series(Part(Step.HOUR, DAY, None))
    assert [(row.start, row.model, row.sums.cost) for row in rows] == [
        (HOUR - timedelta(hours=1), "gpt-4.1", 7),
        (HOUR, "gpt-4o-mini", 11),
    ]
    assert [row.start for row in store.series(Part(Step.DAY, DAY, None))] == [DAY, DAY]


def test_sums_of_nothing_have_no_averages(store: UsageSumsStore) -> None:
    assert store.series(Part(Step.DAY, DAY, None)) == ()
    nothing = UsageSums()
    assert (nothing.error_rate, nothing.average_cost, nothing.average_latency_ms) == (None,) * 3


def test_large_sums_stay_exact(store: UsageSumsStore) -> None:
    add_usage(HOUR, 1, cost_nano_usd=2**62 - 1, requests=3, failures=1)
    add_usage(HOUR - timedelta(days=1), 1, cost_nano_usd=2**61 + 1, requests=0)
    found = store.series(Part(Step.DAY, DAY - timedelta(days=1), None))
    total = UsageSums.of_all(row.sums for row in found)
    assert total.cost == 2**62 + 2**61
    assert total.average_cost == Fraction(2**62 + 2**61, 3)
    assert total.error_rate == Fraction(1, 3)


def test_how_often_closed_days_were_changed_comes_with_the_sums(store: UsageSumsStore) -> None:
    part = Part(Step.DAY, DAY, None)
    assert store.present(part) == (0, ())
    add_usage(HOUR, 1, cost_nano_usd=5)
    add_usage(HOUR, 1, model="gpt-4.1", cost_nano_usd=6)
    assert store.present(part) == (2, store.series(part))
    assert store.present(Part(Step.DAY, DAY + timedelta(days=1), None)) == (2, ())
