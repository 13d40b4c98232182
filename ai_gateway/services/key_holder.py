"""What the holder of a key may ask about without a call: own spend and limits."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import (
    BUDGETS,
    BudgetState,
    Limit,
    Scope,
    Window,
    accounts_of,
    state_of,
    window_end,
)
from ai_gateway.domain.money import Money
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.key_ring import KeyRing
from ai_gateway.stores.meter import Meter
from ai_gateway.stores.virtual_keys import KeyTable


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """One budget of a user right now, as enforcement sees it."""

    window: Window
    spent: Money
    held: Money
    limit: Limit
    state: BudgetState
    resets_at: datetime


@dataclass(frozen=True, slots=True)
class UserStanding:
    """A user's daily and monthly budget."""

    user_id: int
    day: BudgetStanding
    month: BudgetStanding


class KeyHolder:
    """Answers for one key or one user; every question names whose."""

    def __init__(self, keys: KeyRing, *, meter: Meter, table: KeyTable, clock: Clock) -> None:
        self._keys = keys
        self._meter = meter
        self._table = table
        self._clock = clock

    def user_of(self, credential: str | None) -> int:
        """The user whose key this is; raises `InvalidKey`."""
        return self._keys.identify(credential, fresh=True).record.user_id

    def standing(self, user_id: int, zone: ZoneInfo) -> UserStanding:
        """A user's budgets by the enforcement counters; raises `BudgetUnavailable`."""
        if not self._meter.is_ready():
            # Counters that nobody has restored yet would look as if nothing had been spent.
            raise BudgetUnavailable("cold")
        now = self._clock()
        subjects = {Scope.INSTALLATION: 0, Scope.USER: user_id, Scope.KEY: 0}
        limits = self._table.limits({Scope.USER: user_id})
        budgets = [budget for budget in BUDGETS if budget.scope is Scope.USER]
        accounts = [a for a in accounts_of(subjects, now, zone) if a.scope is Scope.USER]
        counters = self._meter.counters(accounts)
        standings = {
            budget.window: BudgetStanding(
                window=budget.window,
                spent=counter.spent,
                held=counter.held,
                limit=limits[budget],
                state=state_of(counter.spent, limits[budget], is_refused=counter.is_refused),
                resets_at=window_end(budget.window, now, zone),
            )
            for budget, counter in zip(budgets, counters, strict=True)
        }
        return UserStanding(user_id, standings[Window.DAY], standings[Window.MONTH])
