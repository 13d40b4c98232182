"""Whether the gateway could serve a call right now, and the state that a scrape shows."""

from collections.abc import Callable, Mapping
from datetime import datetime

from ai_gateway.domain.clock import Clock
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.outbox import PublishedState
from ai_gateway.telemetry.metrics import FIGURE_SILENCE_SECONDS, Metrics, State

UPDATED_AT = "updated_at"


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

    def is_ready(self) -> bool:
        """True only when a call could be served; SQL may be away."""
        try:
            return self._meter.is_ready()
        except BudgetUnavailable:
            return False

    def scrape(self) -> bytes:
        """The text of `/metrics`; still answers when Redis is away, without the figures."""
        figures: Mapping[str, float] | None = None
        is_redis_up = True
        try:
            figures = self._fresh(self._published.figures())
        except BudgetUnavailable:
            is_redis_up = False
        dependencies = {"redis": is_redis_up, "sql": self._is_sql_up()}
        return self._metrics.scrape(State(figures, dependencies))

    def _fresh(self, figures: Mapping[str, str]) -> dict[str, float] | None:
        if UPDATED_AT not in figures:
            return None
        age = self._clock() - datetime.fromisoformat(figures[UPDATED_AT])
        if age.total_seconds() > FIGURE_SILENCE_SECONDS:
            return None
        return {name: float(text) for name, text in figures.items() if name != UPDATED_AT}
