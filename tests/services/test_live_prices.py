"""A worker takes published prices as a whole; a running call keeps those it was admitted with."""

from datetime import timedelta

import pytest

from ai_gateway.domain.price_entries import PriceEntry
from ai_gateway.domain.pricing import PriceRow, Tier
from ai_gateway.services.live_prices import LivePrices
from ai_gateway.stores import redis_keys
from ai_gateway.stores.operator_prices import entered_row
from ai_gateway.stores.published_prices import PriceState, PublishedPrices
from ai_gateway.stores.redis_client import connect
from tests.domain.facts import flat_rates
from tests.providers.scripted import ScriptedResponse
from tests.services.workbench import (
    DONE,
    LAB,
    NOW,
    Workbench,
    chat_answer,
    chat_event,
    usage_event,
)

PLAIN_COST = 10 * 1 + 5 * 10


def entry(number: int, rate: int | None, model: str = "plain", minutes: int = -1) -> PriceEntry:
    """In force so many minutes from now; the rate is in nano-USD for a token."""
    row = None
    if rate is not None:
        like = PriceRow("", "", "", (Tier(-1, flat_rates(rate * 1000, rate * 1000)),))
        row = entered_row(number, "lab", model, like)
    return PriceEntry(number, "lab", model, NOW + timedelta(minutes=minutes), row)


class Prices:
    """Publishes for a workbench, and has it look."""

    def __init__(self, bench: Workbench) -> None:
        self.told: list[int] = []
        self.published = PublishedPrices(bench.client)
        self.live = LivePrices(self.published, bench.models, told=self.told.append)

    def enter(self, *entries: PriceEntry) -> None:
        self.published.publish(lambda: PriceState(entries))
        self.live.look()


@pytest.fixture
def prices(bench: Workbench) -> Prices:
    return Prices(bench)


def cost(bench: Workbench, key: str, model: str = "plain") -> int:
    before = bench.spent(key)
    assert bench.call(key, chat_answer(model=model), model=model).status == 200
    return bench.spent(key) - before


def test_call_pays_what_was_in_force_when_it_was_admitted(bench: Workbench, prices: Prices) -> None:
    key = bench.make_key()
    book = bench.models.price_book
    events = [chat_event("hello"), usage_event(), DONE]
    stream = bench.stream(key, ScriptedResponse(*events))
    prices.enter(entry(1, 999))
    assert bench.models.price_book != book
    assert b"".join(stream)
    booked = bench.entry()
    assert booked.cost == bench.spent(key) == PLAIN_COST
    assert (booked.words["price_row"], booked.words["price_book"]) == ("test/lab/plain", book)
    assert cost(bench, key) == 15 * 999


def test_entered_price_comes_first_until_it_is_withdrawn(bench: Workbench, prices: Prices) -> None:
    key = bench.make_key()
    prices.enter(entry(1, 7))
    assert cost(bench, key) == 15 * 7
    prices.enter(entry(1, 7), entry(2, None, minutes=0))
    assert cost(bench, key) == PLAIN_COST


def test_scheduled_price_begins_by_itself(bench: Workbench, prices: Prices) -> None:
    key = bench.make_key()
    prices.enter(entry(1, 0, minutes=10))
    assert cost(bench, key) == PLAIN_COST
    bench.clock.now = NOW + timedelta(minutes=10)
    assert cost(bench, key) == 0


def test_model_of_its_own_price_can_be_asked_for_by_its_bare_name(
    bench: Workbench, prices: Prices
) -> None:
    key = bench.make_key()
    record = bench.keys.identify(key).record
    names = {one.model for one in bench.models.listing("openai", record)}
    prices.enter(entry(1, 2, "brand-new"))
    assert {one.model for one in bench.models.listing("openai", record)} == names | {"brand-new"}
    assert cost(bench, key, model="brand-new") == 15 * 2
    # A dated name of it costs the same.
    assert cost(bench, key, model="brand-new-2026-11-01") == 15 * 2
    assert bench.models.resolve("brand-new", "openai", record).provider == LAB


def test_what_cannot_be_read_changes_nothing_and_is_told(
    bench: Workbench, prices: Prices, caplog: pytest.LogCaptureFixture
) -> None:
    key = bench.make_key()
    prices.enter(entry(1, 7))
    bench.client.hset(redis_keys.config("odd"), "entries", "[7]")
    bench.client.set(redis_keys.CONFIG_VERSION, "odd")
    prices.live.look()
    prices.live.look()
    assert cost(bench, key) == 15 * 7
    assert prices.told == [1, 0]
    assert caplog.messages.count("prices_unreadable") == 1


def test_prices_outlive_a_redis_that_forgot_them(bench: Workbench, prices: Prices) -> None:
    key = bench.make_key()
    prices.enter(entry(1, 7))
    bench.client.delete(redis_keys.CONFIG_VERSION)
    prices.live.look()
    assert cost(bench, key) == 15 * 7


def test_worker_begins_while_redis_is_away(bench: Workbench) -> None:
    away = LivePrices(PublishedPrices(connect("redis://127.0.0.1:1")), bench.models)
    away.start()
    assert bench.models.price_book


def test_looking_is_one_question_for_as_long_as_nothing_is_new(
    bench: Workbench, prices: Prices
) -> None:
    prices.enter(entry(1, 7))
    directory, book = bench.models, bench.models.book
    asked_before = int(bench.client.info("stats")["total_commands_processed"])
    prices.live.look()
    # The INFO itself counts as well.
    assert int(bench.client.info("stats")["total_commands_processed"]) - asked_before == 2
    assert directory.book is book
