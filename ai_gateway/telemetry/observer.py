"""What listeners are told: facts, after they happened. A listener that fails harms no call."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ai_gateway.domain.call import AdmittedCall, FinishedCall, Operation, Outcome
from ai_gateway.domain.money import Money
from ai_gateway.errors import Refusal

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LocalCall:
    """A request that no provider saw: refused, or answered by the gateway itself.

    Who asked for which model is told as far as it was known; `budget` is the one that refused.
    """

    request_id: str
    operation: Operation
    outcome: Outcome
    reason: str
    stream: bool = False
    user_id: int | None = None
    key_id: str = ""
    model: str = ""
    budget: Refusal | None = None


@dataclass(frozen=True, slots=True)
class SettledCall:
    """A call that was admitted and has ended, with its cost by kind."""

    call: AdmittedCall
    finished: FinishedCall
    cost_by_kind: Mapping[str, Money]


class Observer(Protocol):
    """A listener. It is called in the path of the call, so it must neither block nor do I/O."""

    def answered_locally(self, fact: LocalCall) -> None: ...

    def settled(self, fact: SettledCall) -> None: ...


class Observers:
    """Tells every listener, and goes on when one fails."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def answered_locally(self, fact: LocalCall) -> None:
        for observer in self._observers:
            try:
                observer.answered_locally(fact)
            except Exception:
                # The fan-out is one of the two places where a broad except is allowed.
                logger.exception("observer_failed")

    def settled(self, fact: SettledCall) -> None:
        for observer in self._observers:
            try:
                observer.settled(fact)
            except Exception:
                logger.exception("observer_failed")
