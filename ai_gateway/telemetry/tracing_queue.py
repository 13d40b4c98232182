"""The bounded queue of calls to be traced, and the exact account of every call that was offered.

offered = sampled out + sent + dropped + what is held, at every moment: a call in the hands of the
sender is held until it is known what became of it.
"""

from collections import Counter, deque
from dataclasses import dataclass
from threading import Condition

from ai_gateway.telemetry.metrics_export import ExportMetrics, Loss
from ai_gateway.telemetry.observer import SettledCall

RUN_BYTES = 4 * 1024
"""About what a call takes in memory without its bodies."""

BATCH_BYTES = 2**20
"""Putting a batch together holds up all other calls of a worker, so a batch is never large."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a worker holds for LangSmith; `batch` are enough for a request, `most` go in one.

    To put a request together holds up all calls of a worker, so that a small one goes as soon as it
    is full. Where more has come meanwhile, it goes along: a request costs as much as ten runs in it
    and waits its turn among all the calls, so that else more would come in than could go out.
    """

    calls: int = 8_000
    bytes: int = 32 * 2**20
    batch: int = 20
    most: int = 100


@dataclass(frozen=True, slots=True)
class TraceCounts:
    """What became of all calls that were offered."""

    offered: int
    sampled_out: int
    sent: int
    dropped: int
    held: int


class TraceQueue:
    """Calls go in from any thread and never wait; the sender alone takes them out."""

    def __init__(self, metrics: ExportMetrics, bounds: Bounds | None = None) -> None:
        self._metrics = metrics
        self.bounds = bounds or Bounds()
        self._waiting: deque[SettledCall] = deque()
        self._taken: dict[int, SettledCall] = {}
        self._bytes = 0
        self._is_closed = False
        self._changed = Condition()
        self._offered = self._sampled_out = self._sent = 0
        self._dropped: Counter[Loss] = Counter()
        metrics.queue_capacity.set(self.bounds.calls)
        metrics.queue_length.set(0)

    def leave_out(self) -> None:
        """Count a call that the sample does not have."""
        with self._changed:
            self._offered += 1
            self._sampled_out += 1
            self._metrics.offered.inc()
            self._metrics.sampled_out.inc()

    def offer(self, fact: SettledCall) -> bool:
        """Take a call in, or count it as dropped where there is no room."""
        with self._changed:
            self._offered += 1
            self._metrics.offered.inc()
            if self._is_closed:
                self._drop(Loss.EXIT, 1)
                return False
            weight = _weight(fact)
            if self._held() >= self.bounds.calls or self._bytes + weight > self.bounds.bytes:
                self._drop(Loss.QUEUE_FULL, 1)
                return False
            self._waiting.append(fact)
            self._bytes += weight
            self._metrics.queue_length.set(self._held())
            if len(self._waiting) == 1 or self._fills_a_batch():
                self._changed.notify()
            return True

    def take(self, *, patience: float, gather: float) -> list[SettledCall]:
        """The next batch: waits for a first call, then a little for others to go with it."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._is_closed, patience):
                return []
            self._changed.wait_for(lambda: self._fills_a_batch() or self._is_closed, gather)
            size = 0
            while self._waiting and len(self._taken) < self.bounds.most and size < BATCH_BYTES:
                fact = self._waiting.popleft()
                self._taken[id(fact)] = fact
                size += _weight(fact)
            return list(self._taken.values())

    def sent(self, facts: list[SettledCall]) -> None:
        """Count calls of the batch that have arrived."""
        with self._changed:
            number = self._let_go(facts)
            self._sent += number
            self._metrics.sent.inc(number)

    def lost(self, facts: list[SettledCall], loss: Loss) -> None:
        """Count calls of the batch that never will."""
        with self._changed:
            self._drop(loss, self._let_go(facts))

    def close(self) -> None:
        """Take nothing in any more; what is held can still be taken out."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Count all that is held as lost; what the sender says of it later is not heard."""
        with self._changed:
            self._drop(Loss.EXIT, self._held())
            self._waiting.clear()
            self._taken.clear()
            self._bytes = 0
            self._metrics.queue_length.set(0)

    def counts(self) -> TraceCounts:
        with self._changed:
            return TraceCounts(
                self._offered,
                self._sampled_out,
                self._sent,
                self._dropped.total(),
                self._held(),
            )

    def losses(self) -> dict[Loss, int]:
        with self._changed:
            return dict(self._dropped)

    def _fills_a_batch(self) -> bool:
        return len(self._waiting) >= self.bounds.batch or self._bytes >= BATCH_BYTES

    def _held(self) -> int:
        return len(self._waiting) + len(self._taken)

    def _drop(self, loss: Loss, number: int) -> None:
        self._dropped[loss] += number
        self._metrics.dropped[loss].inc(number)

    def _let_go(self, facts: list[SettledCall]) -> int:
        """Returns how many of them were still held: none after `abandon`."""
        let_go = [fact for fact in facts if self._taken.pop(id(fact), None) is not None]
        self._bytes -= sum(_weight(fact) for fact in let_go)
        self._metrics.queue_length.set(self._held())
        return len(let_go)


def _weight(fact: SettledCall) -> int:
    return RUN_BYTES + len(fact.story.request) + len(fact.story.answer)
