"""The way back to counters that can be trusted: keys, prices, counters as in the ledger, epoch.

Calls are refused until the end; those that were admitted before may settle meanwhile.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from uuid import uuid4
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Account, Window, window_end, window_id
from ai_gateway.domain.money import ZERO, Money
from ai_gateway.stores.counter_restore import Claim, ClaimLost, Counter
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import PublishedState

logger = logging.getLogger(__name__)

TRIES = 100
"""Each is short: it reads only what calls have changed that ended since the one before."""

TELL_EVERY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Preparing:
    """What its bookkeeper does for it: `book` all that waits, `publish` keys and prices."""

    book: Callable[[], object]
    publish: Callable[[], object]


class CounterRestoring:
    """Belongs to one bookkeeper."""

    def __init__(
        self,
        published: PublishedState,
        ledger: Ledger,
        preparing: Preparing,
        *,
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._counters = published.counters
        self._ledger = ledger
        self._book = preparing.book
        self._publish = preparing.publish
        self._clock = clock
        self._zone = zone

    def restore(self) -> bool:
        """Publish and write all of it; False where another bookkeeper is at it or has done it.

        Raises `GatewayUnavailable` while SQL or Redis is away.
        """
        if self._counters.is_anothers():
            return False
        took = _Seconds()
        self._book()
        took.tell("book")
        # Before the claim, which lapses: the keys of a large installation take their time.
        self._publish()
        took.tell("publish")
        claim = self._counters.begin(position=self._ledger.position(), seq=self._ledger.last_seq())
        if claim is None:
            return False
        try:
            # Their numbers may be lower than those of the ledger, since Redis went back in time.
            self._book()
            written = self._counters.write(claim, self._every_counter())
            took.tell("counters")
            self._finish(claim)
        except ClaimLost:
            logger.warning("restore_lost")
            return False
        took.tell("epoch")
        logger.info("counters_restored", extra={"counters": written, **took.fields})
        return True

    def _finish(self, claim: Claim) -> None:
        for _ in range(TRIES):
            self._book()
            changed = self._ledger.totals.spent_since(claim.seq, self._windows())
            if self._counters.finish(
                claim,
                self._with_end(changed),
                epoch=uuid4().hex,
                position=self._ledger.position(),
            ):
                return
        raise ClaimLost

    def _every_counter(self) -> Iterator[Counter]:
        """Those of the ledger, and 0 for what Redis alone has: it is of no booked call."""
        unknown = self._counters.counted(self._windows())
        known = self._ledger.totals.spent(self._windows())
        yield from self._with_end(_told(_without(known, unknown)))
        yield from self._with_end((account, ZERO) for account in unknown)

    def _with_end(self, spent: Iterable[tuple[Account, Money]]) -> Iterator[Counter]:
        now = self._clock()
        ends = {window: self._forget_at(window, now) for window in Window}
        return ((account, amount, ends[account.window]) for account, amount in spent)

    def _windows(self) -> list[str]:
        return [window_id(window, self._clock(), self._zone) for window in Window]

    def _forget_at(self, window: Window, now: datetime) -> datetime:
        return window_end(window, window_end(window, now, self._zone), self._zone)


class _Seconds:
    """How long each step took."""

    def __init__(self) -> None:
        self.fields: dict[str, float] = {}
        self._since = monotonic()

    def tell(self, step: str) -> None:
        now = monotonic()
        self.fields[f"{step}_seconds"] = round(now - self._since, 3)
        self._since = now


def _without(
    spent: Iterable[tuple[Account, Money]], unknown: set[Account]
) -> Iterator[tuple[Account, Money]]:
    """Hand out all, and take each from those that nobody knows."""
    for account, amount in spent:
        unknown.discard(account)
        yield account, amount


def _told(spent: Iterable[tuple[Account, Money]]) -> Iterator[tuple[Account, Money]]:
    """Hand out all, and log how far it is where that takes long."""
    due = monotonic() + TELL_EVERY_SECONDS
    for number, one in enumerate(spent):
        if monotonic() >= due:
            logger.info("restoring_counters", extra={"counters": number})
            due += TELL_EVERY_SECONDS
        yield one
