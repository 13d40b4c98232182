"""Where the present comes from. The factory hands out one clock, so that tests can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present moment, in UTC."""


def system_clock() -> datetime:
    return datetime.now(UTC)
