"""The copy of prices in Redis: whole, named by its content, and never an older one on a newer."""

from datetime import UTC, datetime

import pytest

from ai_gateway.domain.price_entries import PriceEntry
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.stores import redis_keys
from ai_gateway.stores.operator_prices import entered_row
from ai_gateway.stores.price_lists import KeptList
from ai_gateway.stores.published_prices import PriceState, PublishedPrices, UnreadablePrices
from tests.domain.facts import flat_rates
from tests.money import MoneyStore

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ROW = PriceRow("", "", "", (Tier(-1, flat_rates(1, 2)), Tier(9, flat_rates(3, 4))), 5)


def entry(number: int, row: PriceRow | None = ROW) -> PriceEntry:
    own = entered_row(number, "lab", "m", row) if row else None
    return PriceEntry(number, "lab", "m", NOW, own)


FULL = PriceState((entry(1), entry(2, None)), KeptList("abc", b'[{"id":"\xc3\xa9"}]', NOW))


def test_what_is_published_is_read_back(valkey: MoneyStore) -> None:
    prices = PublishedPrices(valkey.client)
    assert prices.version() is None
    assert prices.publish(lambda: FULL)
    version = prices.version()
    assert version is not None
    assert prices.load(version) == FULL
    assert not prices.publish(lambda: FULL)
    assert prices.version() == version


def test_older_state_stays_for_a_while_and_then_goes(valkey: MoneyStore) -> None:
    prices = PublishedPrices(valkey.client)
    prices.publish(lambda: FULL)
    before = prices.version() or ""
    prices.publish(lambda: PriceState((entry(1),)))
    assert prices.load(before) == FULL
    assert 0 < int(valkey.client.ttl(redis_keys.config(before))) <= 3600
    prices.publish(lambda: FULL)
    assert prices.version() == before
    assert int(valkey.client.ttl(redis_keys.config(before))) == -1
    assert prices.load("unknown") is None


def test_older_reading_never_replaces_a_newer(valkey: MoneyStore) -> None:
    """Who was overtaken between reading and writing reads again."""
    mine, others = PublishedPrices(valkey.client), PublishedPrices(valkey.client)
    newer = PriceState((entry(1), entry(2)))
    readings = iter([PriceState((entry(1),)), newer])

    def read() -> PriceState:
        found = next(readings)
        if found is not newer:
            others.publish(lambda: newer)
        return found

    assert not mine.publish(read)
    assert mine.load(mine.version() or "") == newer


@pytest.mark.parametrize("entries", ["no JSON", '[{"id": 1}]', "[7]"])
def test_what_cannot_be_read_is_told_so(valkey: MoneyStore, entries: str) -> None:
    valkey.client.hset(redis_keys.config("odd"), "entries", entries)
    with pytest.raises(UnreadablePrices):
        PublishedPrices(valkey.client).load("odd")
