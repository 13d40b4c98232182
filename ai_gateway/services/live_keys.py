"""Budgets of keys by the enforcement counters of this moment, in place of their copy in SQL."""

from dataclasses import replace

from ai_gateway.domain.key_list import KeyEntry, KeyWindows
from ai_gateway.domain.limits import Account, Scope, Window
from ai_gateway.domain.spend_list import BudgetUse
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.meter import Counters


class LiveKeys:
    """Reads the counters of many keys in one round trip."""

    def __init__(self, counters: LiveCounters) -> None:
        self._counters = counters

    def or_as_known(
        self, entries: tuple[KeyEntry, ...], windows: KeyWindows
    ) -> tuple[tuple[KeyEntry, ...], bool]:
        """The keys by their counters, or as SQL knows them; and whether it is the former."""
        pairs = [_accounts(entry.number, windows) for entry in entries]
        try:
            found = self._counters.read([account for pair in pairs for account in pair])
        except BudgetUnavailable:
            return entries, False
        live = (
            replace(
                entry,
                daily=_counted(entry.daily, found[day]),
                monthly=_counted(entry.monthly, found[month]),
            )
            for entry, (day, month) in zip(entries, pairs, strict=True)
        )
        return tuple(live), True


def _accounts(number: int, windows: KeyWindows) -> tuple[Account, Account]:
    return (
        Account(Scope.KEY, number, Window.DAY, windows.daily.window_id),
        Account(Scope.KEY, number, Window.MONTH, windows.monthly.window_id),
    )


def _counted(use: BudgetUse, counters: Counters) -> BudgetUse:
    return replace(use, spent=counters.spent, is_refused=counters.is_refused)
