"""Orders given beforehand by ``/_control``: which calls they are for, and how often."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from simulator.wire import Headers

OrderT = TypeVar("OrderT")


@dataclass(frozen=True, slots=True)
class Match:
    """Calls for a model, or with a text in the last user message; both if both are given."""

    model: str | None = None
    marker: str | None = None

    def fits(self, model: str | None, prompt: str) -> bool:
        """Tell whether a call is meant."""
        return self.model in (None, model) and (self.marker is None or self.marker in prompt)


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """An answer to be sent byte for byte, each chunk by a write of its own.

    After the last one the connection is broken where it ``is_reset``.
    """

    status: int
    headers: Headers
    chunks: tuple[bytes, ...]
    is_reset: bool = False


@dataclass(slots=True)
class Rule(Generic[OrderT]):
    """An order for matching calls; ``times_left`` of None means until cleared."""

    match: Match
    order: OrderT
    times_left: int | None


class RuleList(Generic[OrderT]):
    """Rules in the order in which they were given; one that is used up is dropped."""

    def __init__(self) -> None:
        self._rules: list[Rule[OrderT]] = []

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rule: Rule[OrderT]) -> None:
        """Add a rule."""
        self._rules.append(rule)

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()

    def take_first(self, model: str | None, prompt: str) -> OrderT | None:
        """Use the oldest rule that fits a call."""
        for rule in self._rules:
            if rule.match.fits(model, prompt):
                return self._use(rule)
        return None

    def take_all(self, model: str | None, prompt: str) -> list[OrderT]:
        """Use every rule that fits a call."""
        return [self._use(rule) for rule in list(self._rules) if rule.match.fits(model, prompt)]

    def _use(self, rule: Rule[OrderT]) -> OrderT:
        if rule.times_left is not None:
            rule.times_left -= 1
            if rule.times_left <= 0:
                self._rules.remove(rule)
        return rule.order
