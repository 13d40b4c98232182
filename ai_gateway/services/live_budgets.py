"""Budgets of users by the enforcement counters of this moment, in place of their copy in SQL.

SQL sorts and filters: its totals follow within about a second, its marks of refusals within two.
What is shown is read here, so that a page says what the next call meets and what REST says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.money import Money
from ai_gateway.domain.spend_list import BudgetUse, OpenWindows, UserBudgets
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.meter import Counters


@dataclass(frozen=True, slots=True)
class LiveUser:
    """One user with both budgets as enforcement has them, and what its running calls hold."""

    budgets: UserBudgets
    held_daily: Money
    held_monthly: Money


class LiveBudgets:
    """Reads the counters of many users in one round trip."""

    def __init__(self, counters: LiveCounters) -> None:
        self._counters = counters

    def read(self, users: Sequence[UserBudgets], windows: OpenWindows) -> tuple[LiveUser, ...]:
        """Raises `BudgetUnavailable` while the counters are away or not to be trusted."""
        pairs = [_accounts(user.user_id, windows) for user in users]
        found = self._counters.read([account for pair in pairs for account in pair])
        return tuple(
            LiveUser(
                replace(
                    user,
                    daily=_counted(user.daily, found[day]),
                    monthly=_counted(user.monthly, found[month]),
                ),
                found[day].held,
                found[month].held,
            )
            for user, (day, month) in zip(users, pairs, strict=True)
        )

    def or_as_known(
        self, users: Iterable[UserBudgets], windows: OpenWindows
    ) -> tuple[tuple[UserBudgets, ...], bool]:
        """The users by their counters, or as SQL knows them; and whether it is the former."""
        known = tuple(users)
        try:
            return tuple(user.budgets for user in self.read(known, windows)), True
        except BudgetUnavailable:
            return known, False


def _accounts(user_id: int, windows: OpenWindows) -> tuple[Account, Account]:
    return (
        Account(Scope.USER, user_id, Window.DAY, windows.daily.window_id),
        Account(Scope.USER, user_id, Window.MONTH, windows.monthly.window_id),
    )


def _counted(use: BudgetUse, counters: Counters) -> BudgetUse:
    return replace(use, spent=counters.spent, is_refused=counters.is_refused)
