"""The listener that keeps refused requests for staff, off the path of the call.

It may lose some (a full buffer, a Redis that is away for long, a worker that is killed): refusals
cost nothing and are in no total.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from threading import Event, Lock, Thread

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.refusals import MAX_NAME, REFUSALS, RefusedCall
from ai_gateway.errors import GatewayError
from ai_gateway.telemetry.observer import LocalCall, SettledCall

logger = logging.getLogger(__name__)

MOST_WAITING = 2_000
FLUSH_SECONDS = 1.0

Write = Callable[[Sequence[RefusedCall]], object]
CountLost = Callable[[int], object]


class RefusalLog:
    """Gathers refusals and writes them once a second, from a thread that the first one starts."""

    def __init__(self, write: Write, clock: Clock, lost: CountLost = lambda _number: None) -> None:
        self._write = write
        self._clock = clock
        self._lost = lost
        self._waiting: deque[RefusedCall] = deque(maxlen=MOST_WAITING)
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stop = Event()

    def answered_locally(self, fact: LocalCall) -> None:
        if fact.outcome not in REFUSALS:
            return
        if len(self._waiting) == MOST_WAITING:
            # The oldest falls out.
            self._lost(1)
        self._waiting.append(
            RefusedCall(
                at=self._clock(),
                outcome=fact.outcome,
                reason=fact.reason,
                operation=fact.operation,
                request_id=fact.request_id,
                user_id=fact.user_id,
                key_id=fact.key_id,
                model=fact.model[:MAX_NAME],
                budget=fact.budget,
            )
        )
        self._start()

    def settled(self, fact: SettledCall) -> None:
        """An admitted call is not refused."""

    def flush(self) -> None:
        """Write what waits; what cannot be written waits on, the oldest falling out first."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not taken:
            return
        try:
            self._write(gathered(taken))
        except GatewayError:
            room = MOST_WAITING - len(self._waiting)
            left_out = max(0, len(taken) - room)
            self._waiting.extendleft(reversed(taken[left_out:]))
            self._lost(left_out)

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self._stop.set()
        self.flush()

    def _start(self) -> None:
        with self._lock:
            # Started by the first refusal, since a thread does not outlive the fork of a worker.
            if self._thread is None:
                self._thread = Thread(target=self._run, name="refusals", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            try:
                self.flush()
            except Exception:
                # Nothing may end the thread: there is no other.
                logger.exception("refusals_not_written")


def gathered(calls: Sequence[RefusedCall]) -> list[RefusedCall]:
    """Those of known users one by one, all others as one for each reason."""
    known = [call for call in calls if call.user_id is not None]
    strangers = [call for call in calls if call.user_id is None]
    counts = Counter((call.outcome, call.reason, call.operation) for call in strangers)
    return known + [
        RefusedCall(strangers[-1].at, outcome, reason, operation, count=count)
        for (outcome, reason, operation), count in counts.items()
    ]
