"""Whether a call could be served, and the state that a scrape shows."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis

from ai_gateway.services.health import UPDATED_AT, Health, LiveState
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.outbox import PublishedState
from ai_gateway.stores.redis_client import connect
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_state import FIGURE_SILENCE_SECONDS
from tests.services.workbench import NOW, SetClock
from tests.trusting import trust

FIGURES = {"ledger_spend_usd|day": 5, "ledger_lag_seconds": 2}


def health_on(client: redis.Redis, clock: SetClock, *, is_sql_up: bool = True) -> Health:
    return Health(
        Meter(client),
        PublishedState(client),
        metrics=Metrics(slot=0),
        is_sql_up=lambda: is_sql_up,
        clock=clock,
    )


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def away() -> Iterator[redis.Redis]:
    """A Redis that is not there."""
    with connect("redis://127.0.0.1:1") as client:
        yield client


def test_gateway_is_ready_once_the_counters_can_be_trusted(
    redis_client: redis.Redis, clock: SetClock
) -> None:
    health = health_on(redis_client, clock, is_sql_up=False)
    before = health.is_ready()
    trust(redis_client)
    assert (before, health.is_ready()) == (False, True)


def test_pages_learn_how_far_the_ledger_is_behind(
    redis_client: redis.Redis, clock: SetClock
) -> None:
    health = health_on(redis_client, clock)
    assert health.live_state() == LiveState()
    PublishedState(redis_client).write_figures({**FIGURES, UPDATED_AT: NOW.isoformat()})
    assert health.live_state() == LiveState(ledger_lag=timedelta(seconds=2))
    clock.now += timedelta(minutes=7)
    assert health.live_state() == LiveState(ledger_lag=timedelta(minutes=7))


def test_a_scrape_tells_how_far_the_clocks_are_apart(
    redis_client: redis.Redis, clock: SetClock
) -> None:
    """That of this host is at NOW, and Redis goes by the true time."""
    PublishedState(redis_client).write_figures({**FIGURES, UPDATED_AT: NOW.isoformat()})
    text = health_on(redis_client, clock).scrape().text.decode()
    (skew,) = re.findall(r"^ai_gateway_clock_skew_seconds (\S+)$", text, re.MULTILINE)
    seconds, _ = redis_client.time()
    assert abs(float(skew) - (seconds - NOW.timestamp())) < 60


def test_pages_learn_since_when_redis_is_away(away: redis.Redis, clock: SetClock) -> None:
    health = health_on(away, clock)
    first = clock.now
    assert health.live_state() == LiveState(redis_down_since=first)
    clock.now += timedelta(minutes=1)
    assert health.live_state() == LiveState(redis_down_since=first)


def test_gateway_is_not_ready_without_redis(away: redis.Redis, clock: SetClock) -> None:
    assert health_on(away, clock).is_ready() is False


@pytest.mark.parametrize("is_sql_up", [True, False])
def test_scrape_tells_which_parts_answer(
    redis_client: redis.Redis, clock: SetClock, *, is_sql_up: bool
) -> None:
    text = health_on(redis_client, clock, is_sql_up=is_sql_up).scrape().text.decode()
    assert 'ai_gateway_dependency_up{dependency="redis"} 1.0' in text
    assert f'ai_gateway_dependency_up{{dependency="sql"}} {float(is_sql_up)}' in text


def test_scrape_answers_without_redis(away: redis.Redis, clock: SetClock) -> None:
    text = health_on(away, clock).scrape().text.decode()
    assert 'ai_gateway_dependency_up{dependency="redis"} 0.0' in text
    assert "ledger" not in text


@pytest.mark.parametrize(
    ("age", "is_shown"),
    [
        pytest.param(0, True, id="new"),
        pytest.param(FIGURE_SILENCE_SECONDS, True, id="as old as they may be"),
        pytest.param(FIGURE_SILENCE_SECONDS + 1, False, id="too old"),
        pytest.param(-5, True, id="ahead of our clock"),
    ],
)
def test_figures_of_a_silent_bookkeeper_are_left_out(
    redis_client: redis.Redis, clock: SetClock, age: int, *, is_shown: bool
) -> None:
    PublishedState(redis_client).write_figures(FIGURES | {UPDATED_AT: NOW.isoformat()})
    clock.now += timedelta(seconds=age)
    text = health_on(redis_client, clock).scrape().text.decode()
    assert ('ai_gateway_ledger_spend_usd{window="day"} 5e-09' in text) is is_shown
    assert ("ai_gateway_ledger_lag_seconds 2.0" in text) is is_shown


def test_figures_of_unknown_age_are_left_out(redis_client: redis.Redis, clock: SetClock) -> None:
    PublishedState(redis_client).write_figures(FIGURES)
    assert "ledger" not in health_on(redis_client, clock).scrape().text.decode()


def test_parts_are_asked_again_after_five_seconds(
    redis_client: redis.Redis, clock: SetClock
) -> None:
    health = health_on(redis_client, clock)
    published = PublishedState(redis_client)
    seen = []
    for seconds, spend in ((0, 1), (4.9, 2), (0.1, 3)):
        clock.now += timedelta(seconds=seconds)
        figures: dict[str, str | int] = {"ledger_spend_usd|day": spend * 10**9}
        figures[UPDATED_AT] = clock.now.isoformat()
        published.write_figures(figures)
        text = health.scrape().text.decode()
        seen.append(text.split('ai_gateway_ledger_spend_usd{window="day"} ')[1][:3])
    assert seen == ["1.0", "1.0", "3.0"]
