"""The clocks of Redis and of the gateway are turned while calls run."""

from datetime import timedelta

from tests.faults.client import read_all
from tests.faults.scenario import Run, Scenario
from tests.running import wait_for

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=10)
BEFORE_THE_END = timedelta(seconds=5)
STREAM = "[[tokens=600]] [[pace=50]]"
SEEN_SECONDS = 30.0


def clock_of_redis_goes_ahead(run: Run) -> str:
    """All leases are over at once, and none of them is taken for lapsed: their workers live."""
    expired = run.rig.metric("reservations_expired_total")
    _calls_go_on(run, HOUR)
    assert run.rig.metric("reservations_expired_total") == expired
    return "jump counted, skew told; 5 exact rows, none expired"


def clock_of_redis_goes_back(run: Run) -> str:
    """Leases end an hour later; nothing waits for them."""
    _calls_go_on(run, -HOUR)
    return "jump counted, skew told; 5 exact rows"


def _calls_go_on(run: Run, by: timedelta) -> None:
    """The jump is counted and the skew told while calls run, and they notice nothing."""
    rig, client = run.rig, run.client()
    streams = client.open_many(4, STREAM)
    rig.clocks.redis.turn(by)
    rig.wait_for_metric("clock_jump_total", 1)
    _wait_for_skew(run, by)
    assert len(rig.leases()) == 4
    answer = client.ask("[[tokens=5]]")
    assert answer is not None
    assert answer.status == 200
    assert read_all(streams) == ["whole"] * 4
    rows = client.caller.booked_once(5)
    assert {row["confidence"] for row in rows} == {"reported"}


def month_ends_in_mid_call(run: Run) -> str:
    """For both hosts at once. A call stays in the month and day in which it was admitted."""
    rig, client = run.rig, run.client()
    stranger = rig.client()  # its call is in the new month, where the checker does not look
    now = rig.gateway.now()
    next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    end = next_month.replace(hour=0, minute=0, second=0, microsecond=0)
    rig.clocks.turn(end - BEFORE_THE_END - now)
    stream = client.open("[[tokens=200]] [[pace=50]]")
    assert rig.gateway.now() < end, "the machine is too slow"
    assert stream.read() == "whole"
    assert rig.gateway.now() > end
    answer = stranger.ask("[[tokens=5]]")
    assert answer is not None
    assert answer.status == 200
    stranger.caller.booked_once(1)
    assert stranger.caller.account("user", "month")[0] == stranger.caller.billed()
    assert client.caller.account("user", "month") == (0, 0)
    # Back into the old month, so that the checker and `ledger verify` look there.
    rig.clocks.turn(end - timedelta(hours=1) - now)
    (row,) = client.caller.booked_once(1)
    assert (row["confidence"], row["cost_nano_usd"]) == ("reported", client.caller.billed())
    assert client.caller.account("user", "month") == (row["cost_nano_usd"], 0)
    return "one exact row in the old month; the next call is in the new one"


def clock_of_the_gateway_is_off(run: Run) -> str:
    rig, client = run.rig, run.client()
    rig.clocks.gateway.turn(LATE)
    _wait_for_skew(run, -LATE)
    before = rig.gateway.now()
    stream = client.open("[[tokens=60]] [[pace=20]]")
    assert stream.read() == "whole"
    (row,) = client.caller.booked_once(1)
    assert row["confidence"] == "reported"
    assert str(row["admitted_at"])[:16] >= f"{before:%Y-%m-%d %H:%M}"
    return f"skew of {LATE.total_seconds():.0f} s told; one exact row by the worker's clock"


def _wait_for_skew(run: Run, by: timedelta) -> None:
    """Of Redis, as seen by the gateway; a scrape is some seconds old."""
    wait_for(
        lambda: abs(run.rig.metric("clock_skew_seconds") - by.total_seconds()) < 5,
        "the skew is told",
        SEEN_SECONDS,
    )


SCENARIOS = (
    Scenario("F31", clock_of_redis_goes_ahead, turns_clocks=True),
    Scenario("F32", clock_of_redis_goes_back, turns_clocks=True),
    Scenario("F33", month_ends_in_mid_call, turns_clocks=True),
    Scenario("F34", clock_of_the_gateway_is_off, turns_clocks=True),
)
