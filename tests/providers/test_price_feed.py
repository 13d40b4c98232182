"""Fetching a list of prices: bounded in size and time, and from one address alone."""

from collections.abc import Iterator
from threading import Event

import pytest

from ai_gateway.providers.price_feed import FeedFault, PriceFeed
from tests.price_feed import Feed, running_feed


@pytest.fixture
def feed() -> Iterator[Feed]:
    with running_feed() as running:
        yield running


def test_body_is_what_the_server_sent(feed: Feed) -> None:
    feed.body = b"[" + b" " * 100_000 + b"]"
    assert PriceFeed(feed.url).fetch() == feed.body


def test_body_that_is_too_large_is_not_read_to_its_end(feed: Feed) -> None:
    feed.body = b" " * 300_000
    with pytest.raises(FeedFault, match="larger than 1,000 bytes"):
        PriceFeed(feed.url, most_bytes=1_000).fetch()


def test_redirect_is_not_followed(feed: Feed) -> None:
    feed.status, feed.location = 302, feed.url
    with pytest.raises(FeedFault, match="302"):
        PriceFeed(feed.url).fetch()
    assert feed.asked == 1


def test_server_that_hangs_is_given_up(feed: Feed) -> None:
    feed.hang, feed.body = Event(), b"[" + b" " * 100 + b"]"
    with pytest.raises(FeedFault, match="in time"):
        PriceFeed(feed.url, seconds=0.2).fetch()


def test_fault_does_not_tell_the_address() -> None:
    with pytest.raises(FeedFault) as told:
        PriceFeed("http://name:secret@127.0.0.1:9/list").fetch()
    assert "secret" not in str(told.value)
    assert "127.0.0.1" not in str(told.value)
