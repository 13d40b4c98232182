"""Leases go by the clock of Redis; when that jumps, they say nothing for as long as one lasts.

A jump is seen by a clock that nobody can turn: since the last look it went on by another span.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

MOST_JUMP = timedelta(seconds=30)
SETTLES_WITHIN = timedelta(seconds=45)
"""The span of a lease: until then every worker that lives has renewed its own."""


class RedisClock:
    """Tells a jump of the clock of Redis, and whether leases can be believed again."""

    def __init__(
        self, now: Callable[[], datetime], steady_seconds: Callable[[], float] = monotonic
    ) -> None:
        self._now = now
        self._steady_seconds = steady_seconds
        self._began: datetime | None = None
        self._settles_at = 0.0

    def has_jumped(self) -> bool:
        """Whether it did since the last look."""
        steady = self._steady_seconds()
        before, self._began = self._began, self._now() - timedelta(seconds=steady)
        if before is None or abs(self._began - before) <= MOST_JUMP:
            return False
        self._settles_at = steady + SETTLES_WITHIN.total_seconds()
        return True

    def is_settled(self) -> bool:
        return self._steady_seconds() >= self._settles_at
