"""The listener that offers finished calls to LangSmith; it never waits and never does I/O."""

import hashlib

from ai_gateway.domain.call import Outcome
from ai_gateway.telemetry.observer import LocalCall, SettledCall
from ai_gateway.telemetry.tracing_queue import TraceQueue
from ai_gateway.telemetry.tracing_sender import TraceSender


class Tracing:
    """Samples the calls that went well, and keeps every other one."""

    def __init__(self, queue: TraceQueue, sender: TraceSender, sample: float) -> None:
        self._queue = queue
        self._sender = sender
        self._sample = sample

    def answered_locally(self, fact: LocalCall) -> None:
        """What no provider saw is no run."""

    def settled(self, fact: SettledCall) -> None:
        if fact.finished.outcome is Outcome.SUCCESS and not self._is_in_sample(fact):
            self._queue.leave_out()
        elif self._queue.offer(fact):
            self._sender.start()

    def _is_in_sample(self, fact: SettledCall) -> bool:
        if self._sample >= 1:
            return True
        digest = hashlib.sha256(fact.call.request_id.encode()).digest()
        return int.from_bytes(digest[-4:]) < self._sample * 2**32
