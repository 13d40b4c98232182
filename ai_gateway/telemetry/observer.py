"""What listeners are told: facts, after they happened. A listener that fails harms no call."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol

from ai_gateway.domain.call import (
    AdmittedCall,
    FinishedCall,
    Operation,
    Outcome,
    StreamSide,
    UpstreamResult,
)
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import Money
from ai_gateway.errors import Refusal

logger = logging.getLogger(__name__)

Told = ParamSpec("Told")


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
class Story:
    """What only traces tell of a call: why it failed, and the bodies where the operator wants them.

    `answer` is the body as it came, or the events of a stream; both may be cut off.
    """

    request: bytes = field(default=b"", repr=False)
    answer: bytes = field(default=b"", repr=False)
    failure: BaseException | None = None


NO_STORY = Story()


@dataclass(frozen=True, slots=True)
class SettledCall:
    """A call that was admitted and has ended, with its cost by kind.

    `aborted_by` is the side that ended a stream early. `allowed_by` are the scopes whose budgets
    had room for it, `warned_by` those that were near their limit when they let it in.
    """

    call: AdmittedCall
    finished: FinishedCall
    cost_by_kind: Mapping[str, Money]
    story: Story = NO_STORY
    upstream: UpstreamResult = UpstreamResult.OK
    aborted_by: StreamSide | None = None
    allowed_by: frozenset[Scope] = frozenset()
    warned_by: frozenset[Scope] = frozenset()


class Observer(Protocol):
    """A listener. It is called in the path of the call, so it must neither block nor do I/O."""

    def answered_locally(self, fact: LocalCall) -> None: ...

    def settled(self, fact: SettledCall) -> None: ...


class Observers:
    """Tells every listener, and goes on when one fails."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._answered_locally = [harmless(observer.answered_locally) for observer in observers]
        self._settled = [harmless(observer.settled) for observer in observers]

    def answered_locally(self, fact: LocalCall) -> None:
        for tell in self._answered_locally:
            tell(fact)

    def settled(self, fact: SettledCall) -> None:
        for tell in self._settled:
            tell(fact)


def harmless(listen: Callable[Told, None]) -> Callable[Told, None]:
    """A listener whose failure is logged, and harms nobody."""

    def tell(*args: Told.args, **kwargs: Told.kwargs) -> None:
        try:
            listen(*args, **kwargs)
        except Exception:
            # The fan-out is one of the two places where a broad except is allowed.
            logger.exception("observer_failed")

    return tell
