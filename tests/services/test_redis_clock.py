"""A jump of the clock of Redis is seen, and for the span of a lease no lease is believed."""

from datetime import timedelta

import pytest

from ai_gateway.services.redis_clock import SETTLES_WITHIN, RedisClock
from tests.services.workbench import NOW

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Clocks:
    """The clock of Redis, and one that nobody can turn."""

    def __init__(self) -> None:
        self.of_redis = NOW
        self.steady = 1000.0
        self.watch = RedisClock(lambda: self.of_redis, lambda: self.steady)

    def pass_by(self, span: timedelta, jump: timedelta = timedelta(0)) -> bool:
        """Some time goes by, and the clock of Redis is set; whether that was seen."""
        self.steady += span.total_seconds()
        self.of_redis += span + jump
        return self.watch.has_jumped()


@pytest.fixture
def clocks() -> Clocks:
    made = Clocks()
    assert made.watch.has_jumped() is False
    return made


def test_time_that_goes_by_is_no_jump(clocks: Clocks) -> None:
    assert [clocks.pass_by(span) for span in (SECOND, HOUR, 24 * HOUR)] == [False] * 3
    assert clocks.watch.is_settled()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 31 * SECOND, -31 * SECOND], ids=str)
def test_a_jump_is_seen_once_and_settles_within_a_lease(clocks: Clocks, jump: timedelta) -> None:
    assert clocks.pass_by(SECOND, jump) is True
    assert not clocks.watch.is_settled()
    assert clocks.pass_by(SETTLES_WITHIN - SECOND) is False
    assert not clocks.watch.is_settled()
    clocks.pass_by(SECOND)
    assert clocks.watch.is_settled()


@pytest.mark.parametrize("slip", [30 * SECOND, -30 * SECOND], ids=str)
def test_a_small_correction_is_no_jump(clocks: Clocks, slip: timedelta) -> None:
    assert [clocks.pass_by(5 * SECOND, slip) for _ in range(4)] == [False] * 4
