"""Proves that the counters are what the ledger says: counter = ledger + outbox, to the last digit.

A difference is told, never mended in silence.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
ACCOUNTS_AT_ONCE = 500


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

        Some hundred accounts at a time, so that neither Redis nor the database stands still.
        """
        accounts = sorted(self._every_account(), key=_place)
        return sorted(
            (
                found
                for first in range(0, len(accounts), ACCOUNTS_AT_ONCE)
                for found in self._compare(accounts[first : first + ACCOUNTS_AT_ONCE])
            ),
            key=lambda found: found.account.name,
        )

    def drift(self) -> Money:
        """By how much the counter of the installation's month is above what was booked.

        Every call is in that one account, so that it is enough to notice that something is wrong,
        and cheap; `differences` tells where. Raises `GatewayUnavailable` as that does.
        """
        month = window_id(Window.MONTH, self._clock(), self._zone)
        account = Account(Scope.INSTALLATION, INSTALLATION_ID, Window.MONTH, month)
        return Money(sum(found.counter - found.booked for found in self._compare([account])))

    def spent(self, scope: Scope, subject_id: int, window: Window) -> Money:
        """What the ledger says of one open account."""
        account = Account(scope, subject_id, window, window_id(window, self._clock(), self._zone))
        return self._ledger.totals.spent_of([account]).get(account, ZERO)

    def _every_account(self) -> set[Account]:
        """Those of open windows that have a counter, a total, or an entry that waits."""
        windows = self._windows()
        waiting, _ = self._outbox.snapshot(self._ledger.position(), ())
        # Late entries of windows that are closed by now have no counter to compare with.
        found = {a for entry in waiting for a in entry.accounts if a.window_id in windows}
        found |= self._outbox.counted(windows)
        found.update(account for account, _ in self._ledger.totals.spent(windows))
        return found

    def _compare(self, accounts: Sequence[Account]) -> list[Difference]:
        """The snapshot of Redis is atomic; where somebody books meanwhile, all is read again."""
        for _ in range(TRIES):
            position = self._ledger.position()
            booked = self._ledger.totals.spent_of(accounts)
            waiting, counters = self._outbox.snapshot(position, accounts)
            if self._ledger.position() == position:
                return list(_differences(booked, waiting, counters))
        raise GatewayUnavailable

    def _windows(self) -> list[str]:
        return [window_id(window, self._clock(), self._zone) for window in Window]


def _differences(
    booked: Mapping[Account, Money],
    waiting: Iterable[OutboxEntry],
    counters: Mapping[Account, Money],
) -> Iterator[Difference]:
    unbooked: Counter[Account] = Counter()
    for entry in waiting:
        for account in entry.accounts:
            unbooked[account] += entry.cost
    for account, counter in counters.items():
        expected = Money(booked.get(account, ZERO) + unbooked[account])
        if counter != expected:
            yield Difference(account, counter, expected)


def _place(account: Account) -> tuple[str, str, int]:
    """Next to each other in the database."""
    return account.scope, account.window_id, account.subject_id
