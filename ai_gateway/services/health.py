"""Whether the gateway could serve a call right now, and the state that a scrape shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ai_gateway.domain.clock import Clock
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.outbox import PublishedState
from ai_gateway.stores.redis_facts import WRITTEN_AT
from ai_gateway.telemetry.metrics import Metrics
from ai_gateway.telemetry.metrics_scrape import Exposition
from ai_gateway.telemetry.metrics_state import FIGURE_SILENCE_SECONDS, State

UPDATED_AT = WRITTEN_AT
STATE_LASTS = timedelta(seconds=5)
"""Of a scrape: so long a worker does not ask the parts again."""


@dataclass(frozen=True, slots=True)
class LiveState:
    """How far the figures of a page can be trusted; a lag that nobody told is None."""

    redis_down_since: datetime | None = None
    ledger_lag: timedelta | None = None


class Health:
    """Asks the parts, each within its own time limit."""

    def __init__(
        self,
        meter: Meter,
        published: PublishedState,
        *,
        metrics: Metrics,
        is_sql_up: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._meter = meter
        self._published = published
        self._metrics = metrics
        self._is_sql_up = is_sql_up
        self._clock = clock
        # As this process saw it: while Redis is away there is nobody to ask who saw it first.
        self._redis_down_since: datetime | None = None
        self._others: dict[str, Callable[[], bool]] = {}
        self._state: State | None = None
        self._looked_at = clock()

    def show_also(self, name: str, is_up: Callable[[], bool]) -> None:
        """Let a scrape show another part; whether a call can be served does not depend on it."""
        self._others[name] = is_up

    def is_ready(self) -> bool:
        """True only when a call could be served; SQL may be away."""
        try:
            return self._meter.is_ready()
        except BudgetUnavailable:
            return False

    def scrape(self, accept: str = "") -> Exposition:
        """`/metrics` in the format that is asked for; also while Redis is away, but for figures."""
        if self._state is None or self._clock() - self._looked_at >= STATE_LASTS:
            self._state, self._looked_at = self._look(), self._clock()
        return self._metrics.scrape(self._state, accept)

    def _look(self) -> State:
        figures: Mapping[str, float] | None = None
        skew: float | None = None
        is_redis_up = True
        try:
            figures = self._fresh(self._published.figures())
            skew = (self._published.now() - self._clock()).total_seconds()
        except BudgetUnavailable:
            is_redis_up = False
        others = {name: is_up() for name, is_up in self._others.items()}
        dependencies = {"redis": is_redis_up, "sql": self._is_sql_up(), **others}
        return State(figures, dependencies, skew)

    def live_state(self) -> LiveState:
        """What pages say of Redis and of the ledger, in one round trip."""
        try:
            figures = self._published.figures()
        except BudgetUnavailable:
            self._redis_down_since = self._redis_down_since or self._clock()
            return LiveState(redis_down_since=self._redis_down_since)
        self._redis_down_since = None
        if UPDATED_AT not in figures:
            return LiveState()
        if (fresh := self._fresh(figures)) is not None:
            return LiveState(ledger_lag=timedelta(seconds=fresh.get("ledger_lag_seconds", 0)))
        # A bookkeeper that is silent books nothing either.
        return LiveState(ledger_lag=self._clock() - datetime.fromisoformat(figures[UPDATED_AT]))

    def _fresh(self, figures: Mapping[str, str]) -> dict[str, float] | None:
        if UPDATED_AT not in figures:
            return None
        age = self._clock() - datetime.fromisoformat(figures[UPDATED_AT])
        if age.total_seconds() > FIGURE_SILENCE_SECONDS:
            return None
        return {name: float(text) for name, text in figures.items() if name != UPDATED_AT}
