"""The bookkeeper's figures for `/metrics`: money and state of the whole installation.

A figure is named `family|label|...`; amounts are nano-USD. What cannot be read is left out.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import (
    BUDGETS,
    NO_LIMIT,
    Account,
    Budget,
    Limit,
    Scope,
    Window,
    window_end,
    window_id,
    window_start,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import BudgetUse, OpenWindow
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.verification import Verification
from ai_gateway.stores.figure_sums import FigureSums, Spender, Spenders
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.open_holds import OpenHolds
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.redis_facts import WRITTEN_AT

TOP = 20
EVERYBODY_ELSE = "__other__"

PAIRS_OF_LATE = timedelta(days=7)
MOST_PAIRS = 20

BudgetRow = tuple[Budget, int, BudgetUse]
FigureMap = Mapping[str, int | float]

EVENTS = (
    "ledger_writes_total|ok",
    "ledger_writes_total|retry",
    "ledger_writes_total|error",
    "reservations_expired_total",
    "ledger_rebuilds_total",
    "ledger_epoch_rollbacks_total",
    "clock_jump_total",
)
"""What the bookkeeper counts; each starts at zero, so that `increase` sees the first."""


@dataclass(frozen=True, slots=True)
class FigureSource:
    """Some figures that are read together, and how often."""

    name: str
    every_seconds: float
    read: Callable[[datetime], FigureMap]


class Figures:
    """Gathers figures and publishes them all at once."""

    def __init__(
        self, published: PublishedState, ledger: Ledger, outbox: Outbox, clock: Clock
    ) -> None:
        self._published = published
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock
        self._found: dict[str, FigureMap] = {}
        self._events = Counter(dict.fromkeys(EVENTS, 0))
        self._position = ""

    def count(self, event: str, number: int = 1) -> None:
        """An event happened; it is published with the next figures."""
        self._events[event] += number

    def refresh(self, source: FigureSource) -> None:
        """Read a source anew; while it cannot be read, its figures are left out."""
        self._found.pop(source.name, None)
        self._found[source.name] = source.read(self._clock())

    def write(self) -> None:
        """Publish; while the ledger is away without its sums, but with the lag, which then counts.

        Raises `GatewayUnavailable` where it has been away from the start.
        """
        now = self._clock()
        figures: dict[str, int | float | str] = {**self._spend(now)}
        figures["ledger_lag_seconds"] = self._outbox.oldest_age_seconds(self._position)
        for found in self._found.values():
            figures.update(found)
        events = Counter(self._events)
        self._published.write_figures(figures | {WRITTEN_AT: now.isoformat()}, events)
        self._events.subtract(events)

    def _spend(self, now: datetime) -> dict[str, int]:
        """The sums of the ledger; up to where it was booked is remembered."""
        try:
            self._position = self._ledger.position()
            return {
                f"ledger_spend_usd|{window}": self._ledger.cost_since(window, now)
                for window in Window
            }
        except GatewayUnavailable:
            if not self._position:
                raise
            return {}


class HoldFigures:
    """Of the holds that are open."""

    def __init__(self, holds: OpenHolds) -> None:
        self._holds = holds

    def read(self, now: datetime) -> FigureMap:
        sums = self._holds.sums()
        age = (now - sums.oldest).total_seconds() if sums.oldest else 0.0
        return {
            "reservations_outstanding": sums.count,
            "reservations_outstanding_usd": sums.held,
            "reservation_oldest_age_seconds": max(0.0, age),
        }


class BudgetFigures:
    """How many budgets are in which state, and those that are nearest to their limit."""

    def __init__(
        self,
        sums: FigureSums,
        counters: LiveCounters,
        *,
        defaults: Mapping[Budget, Limit],
        zone: ZoneInfo,
    ) -> None:
        self._sums = sums
        self._counters = counters
        self._defaults = defaults
        self._zone = zone

    def read(self, now: datetime) -> FigureMap:
        states: Counter[str] = Counter()
        nearest: list[BudgetRow] = []
        installation: list[BudgetRow] = []
        for budget in BUDGETS:
            window = self._open(budget, now)
            for state, number in self._sums.states(budget, window).items():
                states[f"budgets|{budget.scope}|{state}"] += number
            rows = installation if budget.scope is Scope.INSTALLATION else nearest
            found = self._sums.nearest(budget, window, TOP)
            rows += [(budget, subject, use) for subject, use in found]
        nearest.sort(key=_nearness, reverse=True)
        return {**states, **self._of_rows([*installation, *nearest[:TOP]], now)}

    def _open(self, budget: Budget, now: datetime) -> OpenWindow:
        name = window_id(budget.window, now, self._zone)
        return OpenWindow(name, self._defaults.get(budget, NO_LIMIT))

    def _of_rows(self, rows: list[BudgetRow], now: datetime) -> FigureMap:
        accounts = [
            Account(b.scope, subject, b.window, window_id(b.window, now, self._zone))
            for b, subject, _ in rows
        ]
        held = self._held(accounts)
        figures: dict[str, int | float] = {}
        for (budget, subject, use), account in zip(rows, accounts, strict=True):
            labels = f"{budget.scope}|{_name(budget.scope, subject)}|{budget.window}"
            ends = window_end(budget.window, now, self._zone).timestamp()
            figures[f"budget_limit_usd|{labels}"] = use.limit.amount
            figures[f"budget_spent_usd|{labels}"] = use.spent
            figures[f"budget_reset_timestamp_seconds|{labels}"] = ends
            if account in held:
                figures[f"budget_reserved_usd|{labels}"] = held[account]
        return figures

    def _held(self, accounts: list[Account]) -> dict[Account, Money]:
        return {account: found.held for account, found in self._counters.read(accounts).items()}


class PairFigures:
    """The models that were asked most of late: their counters begin at zero in every worker."""

    def __init__(self, sums: FigureSums) -> None:
        self._sums = sums

    def read(self, now: datetime) -> FigureMap:
        asked = self._sums.pairs(now - PAIRS_OF_LATE, MOST_PAIRS)
        return {f"pair|{provider}|{model}": requests for provider, model, requests in asked}


class UserFigures:
    """The users who spent most, and all others as one."""

    def __init__(self, sums: FigureSums, zone: ZoneInfo) -> None:
        self._sums = sums
        self._zone = zone

    def read(self, now: datetime) -> FigureMap:
        figures: dict[str, int | float] = {}
        for window in Window:
            start = window_start(window, now, self._zone)
            found = self._sums.spenders(window_id(window, now, self._zone), start, TOP)
            figures[f"active_users|{window}"] = found.active
            for spender in (*found.top, _the_rest(found)):
                user = EVERYBODY_ELSE if spender.user_id is None else spender.user_id
                figures[f"user_spend_usd|{user}|{window}"] = spender.cost
                figures[f"user_requests|{user}|{window}"] = spender.requests
                figures[f"user_tokens|{user}|{window}"] = spender.tokens
        return figures


class ReconcileFigures:
    """What Redis and the ledger differ by, and what could not be booked."""

    def __init__(self, verification: Verification, sums: FigureSums) -> None:
        self._verification = verification
        self._sums = sums

    def read(self, now: datetime) -> FigureMap:
        return {
            "ledger_drift_usd": self._verification.drift(),
            "ledger_last_reconcile_timestamp_seconds": now.timestamp(),
            "ledger_conflicts_total": self._sums.set_aside(),
        }


def _nearness(row: BudgetRow) -> tuple[float, int]:
    _, _, use = row
    # A limit of 0 is spent as soon as anything is.
    share = use.spent / use.limit.amount if use.limit.amount else float("inf")
    return share, use.spent


def _name(scope: Scope, subject: int) -> str:
    return str(scope) if scope is Scope.INSTALLATION else str(subject)


def _the_rest(found: Spenders) -> Spender:
    """Never negative: the sums may be read between two calls."""
    return Spender(
        None,
        Money(max(0, found.everybody.cost - sum(one.cost for one in found.top))),
        max(0, found.everybody.requests - sum(one.requests for one in found.top)),
        max(0, found.everybody.tokens - sum(one.tokens for one in found.top)),
    )
