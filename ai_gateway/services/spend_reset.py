"""Gives a user room again this window, without raising a limit; the ledger keeps what was spent."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Account, Scope, Window, window_id
from ai_gateway.domain.money import Money
from ai_gateway.stores.resets import SpendResets


class SpendReset:
    """Resets of users; never of a key or the installation."""

    def __init__(self, resets: SpendResets, *, clock: Clock, zone: ZoneInfo) -> None:
        self._resets = resets
        self._clock = clock
        self._zone = zone

    def reset_user(
        self, user_id: int, reset_id: str, windows: tuple[Window, ...] = tuple(Window)
    ) -> Mapping[Window, Money]:
        """Set the user's counters of these windows to 0; the same `reset_id` acts once."""
        now = self._clock()
        taken = {}
        for window in windows:
            account = Account(Scope.USER, user_id, window, window_id(window, now, self._zone))
            taken[window] = self._resets.reset(f"{reset_id}:{window}", account, now)
        return taken
