"""The audit as a list: which entries are meant, where a page begins, and what each one says."""

from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.audit import Action, Facts, Result, TargetKind


@dataclass(frozen=True, slots=True)
class AuditSelection:
    """What narrows the list; an empty text and None narrow nothing.

    `actor` is a whole name as it was then. So is `target`, or it is a kind and an id (`user:12`).
    """

    actor: str = ""
    target: str = ""
    action: Action | None = None
    result: Result | None = None
    since: datetime | None = None
    until: datetime | None = None


WHOLE_AUDIT = AuditSelection()


@dataclass(frozen=True, slots=True, order=True)
class AuditPosition:
    """Where an entry stands: newest first, ties by its number."""

    at: datetime
    number: int


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry as it is stored. Its words may be those of an older version."""

    position: AuditPosition
    actor_id: int | None
    actor: str
    role: str
    address: str
    action: str
    target_kind: str | None
    target_id: str | None
    target_name: str | None
    before: Facts
    after: Facts
    reason: str
    request_id: str | None
    result: str

    @property
    def at(self) -> datetime:
        return self.position.at

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are told of, in the order in which they were recorded."""
        return tuple(dict.fromkeys((*self.before, *self.after)))


def exact_target(text: str) -> tuple[TargetKind, str] | None:
    """The kind and the id in a text such as `user:12`; None where it is a name."""
    kind, colon, target_id = text.partition(":")
    try:
        return (TargetKind(kind), target_id) if colon else None
    except ValueError:
        return None
