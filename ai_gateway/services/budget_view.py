"""A budget as pages show it: spend, limit, floored percent and state; and the windows open now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.limits import (
    NO_LIMIT,
    BudgetState,
    Limit,
    Scope,
    Window,
    state_of,
    window_id,
)
from ai_gateway.domain.money import Money
from ai_gateway.domain.projection import days_left, trailing_since
from ai_gateway.domain.spend_list import BudgetUse, OpenWindow, OpenWindows


@dataclass(frozen=True, slots=True)
class BudgetView:
    """One budget as it is shown. `percent` is floored; None where there is no limit."""

    spent: Money
    limit: Limit
    state: BudgetState
    percent: int | None

    @property
    def is_refused_below_limit(self) -> bool:
        """Exceeded by its last refusal alone, which the page has to say."""
        return self.state is BudgetState.EXCEEDED and self.spent < self.limit.amount


class BudgetWindows:
    """`defaults` are the environment's limits; a budget that is not among them has none."""

    def __init__(self, zone: ZoneInfo, defaults: Mapping[tuple[Scope, Window], Limit]) -> None:
        self.zone = zone
        self._defaults = dict(defaults)

    def of_users(self, now: datetime) -> OpenWindows:
        today = now.astimezone(self.zone).date()
        return OpenWindows(
            daily=self.open(Scope.USER, Window.DAY, now),
            monthly=self.open(Scope.USER, Window.MONTH, now),
            trailing_since=trailing_since(today).isoformat(),
            days_left=days_left(today),
        )

    def of_installation(self, now: datetime) -> OpenWindow:
        return self.open(Scope.INSTALLATION, Window.MONTH, now)

    def open(self, scope: Scope, window: Window, now: datetime) -> OpenWindow:
        """The window that is open now, with the limit of whoever has none of their own."""
        default = self._defaults.get((scope, window), NO_LIMIT)
        return OpenWindow(window_id(window, now, self.zone), default)


def budget_view(use: BudgetUse) -> BudgetView:
    state = state_of(use.spent, use.limit, is_refused=use.is_refused)
    return BudgetView(use.spent, use.limit, state, _percent(use))


def _percent(use: BudgetUse) -> int | None:
    if not use.limit.is_amount:
        return None
    # Nothing may be spent at a limit of 0, so all of it is used up.
    return use.spent * 100 // use.limit.amount if use.limit.amount else 100
