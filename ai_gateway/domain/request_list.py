"""The lists of calls and of refused requests: which are meant, and where a page begins."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum

from ai_gateway.domain.call import FAILURES, Outcome
from ai_gateway.domain.money import Money


class OutcomeFilter(StrEnum):
    """How the calls ended that are meant; the first is any failure."""

    FAILED = "failed"
    SUCCESS = Outcome.SUCCESS.value
    UPSTREAM_REJECTED = Outcome.UPSTREAM_REJECTED.value
    UPSTREAM_ERROR = Outcome.UPSTREAM_ERROR.value
    UPSTREAM_TIMEOUT = Outcome.UPSTREAM_TIMEOUT.value
    GATEWAY_ERROR = Outcome.GATEWAY_ERROR.value
    CANCELLED = Outcome.CANCELLED.value

    @property
    def outcomes(self) -> frozenset[Outcome]:
        return FAILURES if self is OutcomeFilter.FAILED else frozenset({Outcome(self.value)})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a row stands: newest first, ties by its number."""

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment to before another; None is without an end."""

    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Whose:
    """Of one user, by id, or by username or email; of one key. Nothing is everybody."""

    user_id: int | None = None
    name: str = ""
    key_id: str = ""


EVERYBODY = Whose()


@dataclass(frozen=True, slots=True)
class CallSelection:
    """What narrows the list of calls; what has its default narrows nothing.

    `model` is what was asked for, by the client's own name or the catalogue's; `served` is the
    provider's word for what answered.
    """

    whose: Whose = EVERYBODY
    provider: str = ""
    model: str = ""
    served: str = ""
    outcome: OutcomeFilter | None = None
    min_cost: Money | None = None
    min_latency_ms: int | None = None
    is_stream: bool | None = None
    is_unpriced: bool = False

    @property
    def has_all(self) -> bool:
        """Whether every call of the user is meant, or every call there is."""
        own = (getattr(self, field.name) == field.default for field in fields(self)[1:])
        return not self.whose.key_id and all(own)


EVERY_CALL = CallSelection()


@dataclass(frozen=True, slots=True)
class RefusalSelection:
    """What narrows the list of refused requests."""

    whose: Whose = EVERYBODY
    model: str = ""
    reason: str = ""


EVERY_REFUSAL = RefusalSelection()
