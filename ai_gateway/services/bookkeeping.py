"""The bookkeeper: outbox to ledger, lapsed holds, published keys and counters, figures.

Any number may run on any hosts without a leader: every step is safe to be done twice or at once.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Event
from time import monotonic
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Window, window_id
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.errors import GatewayError, GatewayUnavailable
from ai_gateway.services.counter_restoring import CounterRestoring, Preparing
from ai_gateway.services.figures import Figures, FigureSource
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.redis_clock import RedisClock
from ai_gateway.services.refusal_keeping import RefusalKeeping
from ai_gateway.services.task_clock import TaskClock
from ai_gateway.stores.ledger import AnotherBookkeeperWasFaster, Batch, Ledger, UnbookableBatch
from ai_gateway.stores.outbox import Outbox, PublishedState, set_aside
from ai_gateway.stores.redis_facts import SAFE_POLICY

logger = logging.getLogger(__name__)

BATCH_ENTRIES = 500
WAIT_MS = 500
LAPSED_AT_ONCE = 200
RETRY_SECONDS = 1
GATHER_SECONDS = 0.2
"""Entries gather for so long before they are booked: a commit costs the same for one and many."""


def _nothing_to_write() -> None:
    """A Redis of its own sees to its disk by itself."""


@dataclass(frozen=True, slots=True)
class BookkeeperStores:
    """The state that the bookkeeper moves between.

    `write_to_disk` lets what Redis has written outlive a loss of power, where Redis leaves that to
    others. `policy` is what Redis does when its memory is full. `figures` are what `/metrics` shows
    beside the ledger. `watch_tracing` has somebody ask LangSmith, `refresh_prices` whoever has
    newer list prices, and `watch_alerts` looks at the rules of alerts; they wait for nothing.
    """

    outbox: Outbox
    published: PublishedState
    ledger: Ledger
    write_to_disk: Callable[[], object] = _nothing_to_write
    refusals: RefusalKeeping | None = None
    policy: Callable[[], str] = lambda: SAFE_POLICY
    figures: tuple[FigureSource, ...] = ()
    watch_tracing: Callable[[], object] = lambda: None
    publish_prices: Callable[[], object] = lambda: None
    refresh_prices: Callable[[], object] = lambda: None
    watch_alerts: Callable[[], object] = lambda: None
    tasks: TaskClock | None = None


@dataclass(slots=True)
class _Duty:
    """Something cheap that any number of bookkeepers may do; what one alone does is a task."""

    name: str
    every_seconds: float
    run: Callable[[], object]
    due: float = 0.0


class Bookkeeper:
    """One loop: book what has come, and every duty when it is due."""

    def __init__(
        self, stores: BookkeeperStores, keys: KeyAdmin, *, clock: Clock, zone: ZoneInfo
    ) -> None:
        self._outbox = stores.outbox
        self._published = stores.published
        self._ledger = stores.ledger
        self._keys = keys
        self._clock = clock
        self._zone = zone
        self._stop = Event()
        self._booked_at: datetime | None = None
        self._policy = stores.policy
        self._publish_prices = stores.publish_prices
        self._may_lose_counters = False
        self._restoring = CounterRestoring(
            stores.published,
            stores.ledger,
            Preparing(self.book_all, self._publish),
            clock=clock,
            zone=zone,
        )
        self._redis_clock = RedisClock(stores.published.now)
        self._figures = Figures(stores.published, stores.ledger, stores.outbox, clock)
        self._tasks = stores.tasks
        # With each turn of the loop, so that one which is under way goes on a little.
        tasks = [_Duty("tasks", 0, stores.tasks.turn)] if stores.tasks else []
        self._duties = [
            _Duty("write_to_disk", 1, stores.write_to_disk),
            _Duty("watch_sequence", 5, self.watch_sequence),
            _Duty("watch_policy", 10, self.watch_policy),
            _Duty("restore", 0.2, self.restore),
            _Duty("publish_keys", 30, keys.publish_all),
            _Duty("publish_prices", 30, self._publish_prices),
            _Duty("reap", 5, self.reap),
            _Duty("mirror_refusals", 2, self.mirror_refusals),
            *tasks,
            *(
                _Duty(source.name, source.every_seconds, partial(self._figures.refresh, source))
                for source in stores.figures
            ),
            _Duty("figures", 5, self.write_figures),
            _Duty("watch_tracing", 60, stores.watch_tracing),
            _Duty("refresh_prices", 60, stores.refresh_prices),
            _Duty("watch_alerts", 30, stores.watch_alerts),
        ]
        if stores.refusals is not None:
            self._duties.append(_Duty("move_refusals", 2, stores.refusals.move))

    def run(self) -> None:
        """Work until `stop`, then drain what is left in the outbox."""
        while not self._stop.is_set():
            try:
                self._run_due()
                if self.book(block_ms=WAIT_MS) < BATCH_ENTRIES:
                    self._stop.wait(GATHER_SECONDS)
            except GatewayError as error:
                _log_wait("book", error)
                self._stop.wait(RETRY_SECONDS)
        if self._tasks is not None:
            self._tasks.stop()
        self.book_all()

    def stop(self) -> None:
        self._stop.set()

    def book(self, *, block_ms: int | None) -> int:
        """Move one batch from the outbox into the ledger; returns how many entries it had."""
        with self._counting_errors():
            # In this order: whatever comes after the position has a higher number.
            known, position = self._ledger.last_seq(), self._ledger.position()
        batch = self._outbox.read(position, count=BATCH_ENTRIES, block_ms=block_ms)
        if not batch:
            return 0
        self._distrust_repeated_numbers(batch, known)
        try:
            with self._counting_errors():
                self._book_or_find_the_fault(batch, position)
        except AnotherBookkeeperWasFaster:
            # What that one has not booked is read again.
            self._figures.count("ledger_writes_total|retry")
        return len(batch)

    def _distrust_repeated_numbers(self, batch: Batch, known: int) -> None:
        """A number that is in the ledger already was given twice, and Redis forgot the first."""
        lowest = min((one.seq for one in batch if isinstance(one, OutboxEntry)), default=known + 1)
        if lowest <= known and self._published.has_epoch():
            self._notice_return()

    def book_all(self) -> None:
        """Book until nothing waits."""
        while self.book(block_ms=None):
            pass

    @contextmanager
    def _counting_errors(self) -> Iterator[None]:
        """A ledger that is away or locked is told, whichever statement finds out."""
        try:
            yield
        except GatewayUnavailable:
            self._figures.count("ledger_writes_total|error")
            raise

    def _book_or_find_the_fault(self, batch: Batch, position: str) -> None:
        try:
            self._book(batch, position)
        except UnbookableBatch:
            self._figures.count("ledger_writes_total|error")
            self._book_one_by_one(batch, position)

    def _book(self, batch: Batch, position: str) -> None:
        aside = self._ledger.book(batch, after=position, now=self._clock())
        self._figures.count("ledger_writes_total|ok")
        self._outbox.trim(batch[-1].stream_id)
        if aside:
            logger.error("ledger_entries_set_aside", extra={"count": aside})

    def _book_one_by_one(self, batch: Batch, position: str) -> None:
        """Find the entry that the database refuses and set it aside, so that others flow."""
        for entry in batch:
            try:
                self._book([entry], position)
            except UnbookableBatch as error:
                if isinstance(entry, UnreadableEntry):
                    raise
                reason = f"the database refused it: {error.__cause__}"[:200]
                self._book([set_aside(entry, reason)], position)
            position = entry.stream_id

    def reap(self) -> int:
        """Book calls whose lease lapsed: their worker is gone, or stood still too long."""
        if self._redis_clock.has_jumped():
            logger.error("redis_clock_jumped")
            self._figures.count("clock_jump_total")
        if not self._redis_clock.is_settled():
            return 0
        now = self._clock()
        lapsed = self._outbox.lapsed(count=LAPSED_AT_ONCE)
        expired = [request_id for request_id in lapsed if self._outbox.expire(request_id, now)]
        for request_id in expired:
            logger.warning("hold_lapsed", extra={"request_id": request_id})
        self._figures.count("reservations_expired_total", len(expired))
        return len(expired)

    def restore(self) -> bool:
        """Publish keys, prices and counters where Redis lost them, and the epoch last."""
        if self._may_lose_counters or self._published.has_epoch():
            return False
        is_restored = self._restoring.restore()
        self._figures.count("ledger_rebuilds_total", int(is_restored))
        return is_restored

    def distrust(self) -> None:
        """Stop new calls until `restore` has written the counters anew."""
        self._published.forget_epoch()

    def is_trusted(self) -> bool:
        return self._published.has_epoch()

    def watch_sequence(self) -> bool:
        """Distrust a Redis whose sequence is behind the ledger: it went back in time."""
        if not self._published.is_behind(self._ledger.last_seq()):
            return False
        self._notice_return()
        return True

    def _notice_return(self) -> None:
        logger.error("redis_went_back")
        self._figures.count("ledger_epoch_rollbacks_total")
        self._published.forget_epoch()

    def unsafe_policy(self) -> str | None:
        """The policy of a Redis that would throw counters away when it is full; None if not."""
        policy = self._policy()
        return None if policy == SAFE_POLICY else policy

    def watch_policy(self) -> bool:
        """Stop new calls for as long as Redis may throw counters away: no budget would hold."""
        policy = self.unsafe_policy()
        self._may_lose_counters = policy is not None
        if self._may_lose_counters and self._published.has_epoch():
            logger.error("redis_may_lose_counters", extra={"policy": policy})
            self._published.forget_epoch()
        return self._may_lose_counters

    def mirror_refusals(self) -> None:
        """Let pages see whose last call was refused."""
        self._ledger.mark_refused(self._published.refused(), self._windows())

    def write_figures(self) -> None:
        """Publish what `/metrics` shows for the whole installation."""
        self._figures.write()

    def _publish(self) -> None:
        self._keys.publish_all()
        self._publish_prices()

    def _run_due(self) -> None:
        for duty in self._duties:
            if self._stop.is_set() or monotonic() < duty.due:
                continue
            try:
                duty.run()
                duty.due = monotonic() + duty.every_seconds
            except GatewayError as error:
                # The others and the ledger go on: one that always fails must not stop the money.
                _log_wait(duty.name, error)
                duty.due = monotonic() + RETRY_SECONDS

    def _windows(self) -> list[str]:
        return [window_id(window, self._clock(), self._zone) for window in Window]


def _log_wait(duty: str, error: GatewayError) -> None:
    cause = error.__cause__ or error
    logger.warning("bookkeeper_waits", extra={"duty": duty, "cause": type(cause).__name__})
