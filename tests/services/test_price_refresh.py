"""A newer list of prices is taken where it can be believed, and else the last good one stays."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from ai_gateway.providers.price_feed import PriceFeed
from ai_gateway.services.price_book import PriceRecords
from ai_gateway.services.price_refresh import PriceRefresh
from ai_gateway.services.price_refresh_watch import PriceRefreshWatch
from ai_gateway.stores.price_entries import PriceEntryTable
from ai_gateway.stores.price_list import UnreadableList, built_in_list, read_list
from ai_gateway.stores.price_lists import KeptList, PriceListTable
from ai_gateway.stores.published_prices import PublishedPrices
from tests.engines import opened_engine
from tests.price_feed import Feed, model_of, release_list, running_feed
from tests.services.workbench import NOW, SetClock
from tests.sql_database import sqlite_url

Alter = Callable[[list[dict[str, Any]]], object]


@dataclass
class Bench:
    feed: Feed
    records: PriceRecords
    refresh: PriceRefresh
    clock: SetClock

    def offer(self, alter: Alter = lambda _list: None) -> None:
        """A list of one provider, which is quicker to read."""
        providers = [one for one in release_list() if one["id"] == "openai"]
        alter(providers)
        self.feed.body = json.dumps(providers).encode()

    def keep_good(self) -> KeptList:
        """Let such a list be in force."""
        self.offer()
        good = KeptList("good", self.feed.body, NOW)
        self.records.lists.keep(good)
        return good


@pytest.fixture
def bench(tmp_path: Path, redis_client: redis.Redis) -> Iterator[Bench]:
    with opened_engine(sqlite_url(tmp_path)) as engine, running_feed() as feed:
        clock = SetClock()
        records = PriceRecords(
            PriceEntryTable(engine), PriceListTable(engine), PublishedPrices(redis_client)
        )
        feed_of = PriceFeed(feed.url, most_bytes=2_000_000, seconds=5)
        yield Bench(feed, records, PriceRefresh(feed_of.fetch, records, clock), clock)


def price(providers: list[dict[str, Any]], **amounts: float | str) -> None:
    model_of(providers, "openai", "gpt-4o-mini")["prices"] |= amounts


def test_list_of_the_release_is_known_in_its_published_form(bench: Bench) -> None:
    bench.feed.body = json.dumps(release_list()).encode()
    tried = bench.refresh.try_out()
    assert (tried.fault, tried.changed) == (None, 0)
    assert tried.models == len(built_in_list().listed(NOW))


def test_list_that_can_be_believed_is_in_force_and_published(bench: Bench) -> None:
    good = bench.keep_good()
    bench.offer(lambda providers: price(providers, input_mtok=0.2))
    tried = bench.refresh.try_out()
    assert (tried.fault, tried.changed) == (None, 1)
    assert bench.records.lists.newest() == good
    taken = bench.refresh.run()
    assert taken == tried
    kept = bench.records.lists.newest()
    assert kept is not None
    row = bench.records.price_list(kept).listed(NOW)["openai", "gpt-4o-mini"].row
    assert row.tiers[0].rates.input == 200_000
    published = PublishedPrices(bench.records._published._client)
    state = published.load(published.version() or "")
    assert state is not None
    assert state.fetched == kept
    assert bench.records.price_list(kept).made_at(NOW) == NOW


@pytest.mark.parametrize(
    ("alter", "fault"),
    [
        (lambda providers: price(providers, input_mtok=0.8), "moves more than 5 times"),
        (lambda providers: price(providers, output_mtok=0.0), "becomes free"),
        (lambda providers: price(providers, input_mtok=-0.15), "negative"),
        (lambda providers: providers[0]["models"].__delitem__(slice(0, 30)), "it knows only"),
        (lambda providers: price(providers, input_mtok="dear"), "ValidationError"),
        (lambda providers: providers.append({"models": 7}), "not in the form"),
        (lambda providers: providers.append({"id": " " * 2_000_000}), "larger than 2,000,000"),
    ],
    ids=["jump", "free", "negative", "lost", "no-number", "no-provider", "too-large"],
)
def test_what_cannot_be_believed_changes_nothing(bench: Bench, alter: Alter, fault: str) -> None:
    good = bench.keep_good()
    bench.clock.now += timedelta(hours=1)
    bench.offer(alter)
    refused = bench.refresh.run()
    assert refused.found is None
    assert fault in (refused.fault or "")
    assert bench.records.lists.newest() == good
    state = bench.records.lists.state()
    assert (state.tried_at, state.good_at) == (bench.clock.now, NOW)
    assert fault in (state.fault or "")


def test_announced_price_may_jump(bench: Bench) -> None:
    def announce(providers: list[dict[str, Any]]) -> None:
        model = model_of(providers, "openai", "gpt-4o-mini")
        before = model["prices"]
        later = {"constraint": {"start_date": "2050-01-01"}, "prices": {**before, "input_mtok": 9}}
        model["prices"] = [{"prices": before}, later]

    bench.keep_good()
    bench.offer(announce)
    assert bench.refresh.run().fault is None


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b'"no"', b"\xff"])
def test_what_is_no_list_is_told_so(body: bytes) -> None:
    with pytest.raises(UnreadableList):
        read_list(body, NOW)


def test_refresh_is_asked_for_as_often_as_the_operator_wants(bench: Bench) -> None:
    bench.feed.status = 500
    lists, every = bench.records.lists, timedelta(hours=24)
    watch = PriceRefreshWatch(bench.refresh, lists, every, bench.clock)
    for hours, asked in ((0, 1), (23, 1), (25, 2)):
        bench.clock.now = NOW + timedelta(hours=hours)
        thread = watch.start_when_due()
        if thread is not None:
            thread.join(20)
        assert bench.feed.asked == asked
    assert lists.state().fault == "the server answered with 500"
