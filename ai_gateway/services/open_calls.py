"""Keeps this worker's running calls alive in Redis, and ends those that must not go on.

One thread (a greenlet under gevent) renews every lease in one round trip each 8 s, works off the
settlement backlog, and interrupts what was revoked or takes too long to drain.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from threading import Event, Lock, Thread
from time import monotonic

from ai_gateway.domain.call import Operation
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.admission import Admission, Admitted
from ai_gateway.services.recovery import Recovery
from ai_gateway.services.settlement import Settlement
from ai_gateway.stores.meter import Floor, Heartbeat, Meter

logger = logging.getLogger(__name__)

END_SECONDS = 5
END_STEP_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How often running calls are looked after; a lease outlives four missed beats.

    A beat and a tick together are less than the 10 s within which a revoked stream is cut.
    """

    tick_seconds: float = 1
    beat_seconds: float = 8


USUAL_PACE = Pace()


class EndReason(StrEnum):
    """Why the gateway ends a running call by itself."""

    REVOKED = "revoked"
    NO_ROOM = "no_room"
    STOPPING = "stopping"
    DRAIN_LIMIT = "drain_limit"
    FAULT = "fault"


@dataclass(slots=True)
class OpenCall:
    """A call that is under way. `end` must return at once and may be called twice."""

    admitted: Admitted
    text_bytes: Callable[[], int]
    end: Callable[[EndReason], None]
    deadline: float | None = None


class OpenCalls:
    """The register of running calls; its thread starts with the first call, after the fork."""

    def __init__(
        self,
        meter: Meter,
        admission: Admission,
        settlement: Settlement,
        recovery: Recovery,
        *,
        pace: Pace = USUAL_PACE,
    ) -> None:
        self._meter = meter
        self._admission = admission
        self._settlement = settlement
        self._recovery = recovery
        self._pace = pace
        self._calls: dict[str, OpenCall] = {}
        self._watchers: list[Callable[[Counter[Operation]], object]] = []
        self._others: list[Callable[[], object]] = []
        self._lock = Lock()
        self._thread: Thread | None = None
        self._stop = Event()
        self._next_beat = monotonic() + self._pace.beat_seconds

    def __len__(self) -> int:
        return len(self._calls)

    def watch(self, told: Callable[[Counter[Operation]], object]) -> None:
        """Tell at each tick how many calls of each operation run."""
        self._watchers.append(told)

    def also(self, step: Callable[[], object]) -> None:
        """Do something else at each tick, which is quick and may fail."""
        self._others.append(step)

    def enter(self, call: OpenCall) -> None:
        self._calls[call.admitted.call.request_id] = call
        self.start()

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="open-calls", daemon=True)
                self._thread.start()

    def leave(self, request_id: str) -> None:
        self._calls.pop(request_id, None)

    def end_all(self) -> None:
        """End every running call and wait until all are settled, or the time for it is over."""
        for call in list(self._calls.values()):
            call.end(EndReason.STOPPING)
        give_up_at = monotonic() + END_SECONDS
        while self._calls and monotonic() < give_up_at:
            self._stop.wait(END_STEP_SECONDS)
        self._settlement.work_off()

    def beat(self) -> None:
        """Renew all leases and act on the answers."""
        calls = list(self._calls.values())
        if not calls:
            return
        progress = [(c.admitted.call, self._floor(c)) for c in calls]
        for call, state in zip(calls, self._meter.heartbeat(progress), strict=True):
            if state is Heartbeat.REVOKED:
                call.end(EndReason.REVOKED)
            elif state is Heartbeat.LAPSED and not self._hold_again(call):
                call.end(EndReason.NO_ROOM)
            elif state is Heartbeat.GONE:
                self._attempt(partial(self._recovery.adopt, call.admitted, self._floor(call)))

    def _floor(self, call: OpenCall) -> Floor:
        return self._admission.floor(call.admitted, text_bytes=call.text_bytes())

    def _hold_again(self, call: OpenCall) -> bool:
        return self._meter.rehold(call.admitted.call, call.admitted.limits)

    def _run(self) -> None:
        while not self._stop.wait(self._pace.tick_seconds):
            for step in (
                self._tell,
                self._end_overdue,
                self._admission.withdraw_doubtful,
                self._settlement.work_off,
                self._beat_when_due,
                self._recovery.watch,
                self._recovery.settle_lost,
                *self._others,
            ):
                self._attempt(step)

    def _attempt(self, step: Callable[[], object]) -> None:
        """Let no step keep the next from its turn; the next tick tries again."""
        try:
            step()
        except GatewayUnavailable:
            return
        except Exception:
            logger.exception("open_calls_failed")

    def _tell(self) -> None:
        running = Counter(call.admitted.call.operation for call in list(self._calls.values()))
        for told in self._watchers:
            told(running)

    def _beat_when_due(self) -> None:
        if monotonic() < self._next_beat:
            return
        # One that fails is tried again at the next tick.
        self.beat()
        self._next_beat = monotonic() + self._pace.beat_seconds

    def _end_overdue(self) -> None:
        now = monotonic()
        for call in list(self._calls.values()):
            if call.deadline is not None and now > call.deadline:
                call.end(EndReason.DRAIN_LIMIT)
