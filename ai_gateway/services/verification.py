"""Proves that the counters are what the ledger says: counter = ledger + outbox, to the last digit.

A difference is told, never mended in silence.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import INSTALLATION_ID, Account, Scope, Window, window_id
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.domain.outbox import OutboxEntry
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox

TRIES = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose counter is not what was booked."""

    account: Account
    counter: Money
    booked: Money


class Verification:
    """Compares the accounts of the open windows while calls go on."""

    def __init__(self, ledger: Ledger, outbox: Outbox, *, clock: Clock, zone: ZoneInfo) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._clock = clock
        self._zone = zone

    def differences(self) -> list[Difference]:
        """Every open account that differs; raises `GatewayUnavailable` where none could be read.

        The snapshot of Redis is atomic. A bookkeeper that books meanwhile moves the position, and
        then both sides are read again.
        """
        for _ in range(TRIES):
            position = self._ledger.position()
            booked = dict(self._ledger.spent(self._windows()))
            waiting, counters = self._outbox.snapshot(position, self._windows())
            if self._ledger.position() == position:
                return _compare(booked, waiting, counters)
        raise GatewayUnavailable

    def drift(self) -> Money:
        """By how much the counter of the installation's month is above what was booked.

        Every call is in that one account, so that it is enough to notice that something is wrong,
        and cheap; `differences` tells where. Raises `GatewayUnavailable` as that does.
        """
        month = window_id(Window.MONTH, self._clock(), self._zone)
        account = Account(Scope.INSTALLATION, INSTALLATION_ID, Window.MONTH, month)
        for _ in range(TRIES):
            position = self._ledger.position()
            booked = self._ledger.spent_of(account)
            waiting, counters = self._outbox.snapshot_of(position, [account])
            if self._ledger.position() == position:
                found = _compare({account: booked}, waiting, counters)
                return Money(
                    sum(one.counter - one.booked for one in found if one.account == account)
                )
        raise GatewayUnavailable

    def spent(self, scope: Scope, subject_id: int, window: Window) -> Money:
        """What the ledger says of one open account."""
        account = Account(scope, subject_id, window, window_id(window, self._clock(), self._zone))
        return dict(self._ledger.spent([account.window_id])).get(account, ZERO)

    def _windows(self) -> list[str]:
        return [window_id(window, self._clock(), self._zone) for window in Window]


def _compare(
    booked: dict[Account, Money], waiting: Iterable[OutboxEntry], counters: dict[Account, Money]
) -> list[Difference]:
    expected = dict(booked)
    # Late entries of windows that are closed by now have no counter to compare with.
    windows = {account.window_id for account in booked | counters}
    for entry in waiting:
        for account in entry.accounts:
            if account.window_id not in windows:
                continue
            expected[account] = Money(expected.get(account, ZERO) + entry.cost)
    return [
        Difference(account, counters.get(account, ZERO), expected.get(account, ZERO))
        for account in sorted(counters | expected, key=lambda a: a.name)
        if counters.get(account, ZERO) != expected.get(account, ZERO)
    ]
