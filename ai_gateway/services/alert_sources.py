"""Reads what each rule has to do with now, and has the domain compare it with the rule."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.domain import alert_conditions as conditions
from ai_gateway.domain.alert_conditions import SpentBudget
from ai_gateway.domain.alerts import AlertKind, Condition, Rule
from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Budget,
    Limit,
    Window,
    window_end,
    window_id,
    window_start,
)
from ai_gateway.domain.projection import days_left, trailing_since
from ai_gateway.domain.spend_list import OpenWindow
from ai_gateway.services.tracing_health import TracingHealth
from ai_gateway.services.verification import Verification
from ai_gateway.stores.alert_sums import AlertSums
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox
from ai_gateway.stores.rollups import local_hour

Reader = Callable[[Rule, datetime], list[Condition]]
"""Raises `GatewayUnavailable` where it cannot be known."""


class BudgetSource:
    """Of all budgets of the windows that are open, by the ledger, which is a second behind."""

    def __init__(self, sums: AlertSums, defaults: Mapping[Budget, Limit], zone: ZoneInfo) -> None:
        self._sums = sums
        self._defaults = defaults
        self._zone = zone

    def near(self, rule: Rule, now: datetime) -> list[Condition]:
        found = []
        for budget in BUDGETS:
            spent = self._spent(budget, rule, now)
            found += conditions.near(rule, spent, self._resets(budget, now))
        return found

    def reached(self, rule: Rule, now: datetime) -> list[Condition]:
        found = []
        for budget in BUDGETS:
            spent = self._spent(budget, rule, now)
            found += conditions.reached(rule, spent, self._resets(budget, now))
        return found

    def projected(self, rule: Rule, now: datetime) -> list[Condition]:
        """Of months alone: a day is too short for a pace."""
        today = now.astimezone(self._zone).date()
        first = trailing_since(today)
        days = [f"{first + timedelta(days=n)}" for n in range((today - first).days)]
        found = []
        for budget in BUDGETS:
            if budget.window is Window.MONTH:
                paces = self._sums.paces(budget, self._window(budget, now), days)
                resets = self._resets(budget, now)
                found += conditions.projected(rule, paces, days_left(today), resets)
        return found

    def _spent(self, budget: Budget, rule: Rule, now: datetime) -> tuple[SpentBudget, ...]:
        least = max(0, rule.threshold - conditions.LET_GO_BELOW)
        return self._sums.spent(budget, self._window(budget, now), least)

    def _window(self, budget: Budget, now: datetime) -> OpenWindow:
        name = window_id(budget.window, now, self._zone)
        return OpenWindow(name, self._defaults.get(budget, NO_LIMIT))

    def _resets(self, budget: Budget, now: datetime) -> str:
        return conditions.moment(window_end(budget.window, now, self._zone), self._zone)


class TrafficSource:
    """Of the roll-ups of models and providers."""

    def __init__(self, sums: AlertSums, zone: ZoneInfo) -> None:
        self._sums = sums
        self._zone = zone

    def unpriced(self, rule: Rule, now: datetime) -> list[Condition]:
        day = window_start(Window.DAY, now, self._zone)
        name = window_id(Window.DAY, now, self._zone)
        return conditions.unpriced(rule, self._sums.unpriced(day), name)

    def provider_errors(self, rule: Rule, now: datetime) -> list[Condition]:
        since = local_hour(now - timedelta(hours=1), self._zone)
        return conditions.provider_errors(rule, self._sums.calls(since))


class LedgerSource:
    """Of the way from the counters to the ledger."""

    def __init__(self, verification: Verification, ledger: Ledger, outbox: Outbox) -> None:
        self._verification = verification
        self._ledger = ledger
        self._outbox = outbox

    def drift(self, rule: Rule, _now: datetime) -> list[Condition]:
        return conditions.ledger_drift(rule, self._verification.drift())

    def lag(self, rule: Rule, _now: datetime) -> list[Condition]:
        seconds = self._outbox.oldest_age_seconds(self._ledger.position())
        return conditions.outbox_lag(rule, seconds)


class TracingSource:
    """Of what the workers say about their traces."""

    def __init__(self, health: Callable[[], TracingHealth]) -> None:
        self._health = health
        self._dropped: int | None = None

    def export_queue(self, rule: Rule, _now: datetime) -> list[Condition]:
        health = self._health()
        # The first look does not know what was dropped just now, and a worker that ends takes its
        # number along.
        before = health.dropped if self._dropped is None else self._dropped
        self._dropped = health.dropped
        newly_dropped = max(0, health.dropped - before)
        return conditions.export_queue(rule, health.queued, newly_dropped)


@dataclass(slots=True)
class PartWatch:
    """Since when a part has been away, as far as this process has seen; None while it answers."""

    kind: AlertKind
    name: str
    answers: Callable[[], bool]
    since: datetime | None = None

    def look(self, now: datetime) -> datetime | None:
        self.since = None if self.answers() else self.since or now
        return self.since

    def read(self, rule: Rule, now: datetime) -> list[Condition]:
        return conditions.down(rule, self.name, self.since, now)
