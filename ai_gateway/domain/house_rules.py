"""What holds for every call: the limits of whoever has none of their own, and what is paused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from ai_gateway.domain.limits import BUDGETS, NO_LIMIT, Limit

MAX_REASON_CHARACTERS = 200
"""Of a pause: callers read it in the message of an error."""


class PauseScope(StrEnum):
    """Whose calls are paused, the widest first."""

    EVERYTHING = "everything"
    PROVIDER = "provider"
    USER = "user"


@dataclass(frozen=True, slots=True)
class PauseTarget:
    """What is paused. `subject` is a user's id or a provider's name, and empty for everything."""

    scope: PauseScope
    subject: str = ""


EVERYTHING = PauseTarget(PauseScope.EVERYTHING)


def user_pause(user_id: int) -> PauseTarget:
    return PauseTarget(PauseScope.USER, str(user_id))


def provider_pause(name: str) -> PauseTarget:
    return PauseTarget(PauseScope.PROVIDER, name)


@dataclass(frozen=True, slots=True)
class Pause:
    """Calls are refused since then; callers read the `reason`. `name` is for staff to read."""

    target: PauseTarget
    name: str
    reason: str
    since: datetime
    by: str


NO_PAUSES: Mapping[PauseTarget, Pause] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class HouseRules:
    """A copy as SQL had it at `number`; `limits` are in the order of `BUDGETS`.

    `version` is what `reserve` compares: a worker with another one loads the rules again.
    """

    limits: tuple[Limit, ...]
    pauses: Mapping[PauseTarget, Pause] = field(default_factory=lambda: NO_PAUSES)
    number: int = 0
    version: str = ""

    def in_force(self, chosen: tuple[Limit | None, ...]) -> tuple[Limit, ...]:
        """What was chosen, and where nothing was, what holds for all."""
        return tuple(
            common if own is None else own for own, common in zip(chosen, self.limits, strict=True)
        )

    def pause_of(self, user_id: int, provider: str = "") -> Pause | None:
        """The widest pause that stops a call of this user, or one to this provider."""
        if not self.pauses:
            return None
        targets = (EVERYTHING, provider_pause(provider), user_pause(user_id))
        return next((self.pauses[target] for target in targets if target in self.pauses), None)


NO_RULES = HouseRules((NO_LIMIT,) * len(BUDGETS))
"""Before any were published."""
