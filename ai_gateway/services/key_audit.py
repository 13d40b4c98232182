"""What the audit says of an act on a virtual key; never its secret."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from ai_gateway.domain.audit import (
    Action,
    Actor,
    AuditEntry,
    Change,
    Fact,
    Facts,
    Result,
    Target,
    TargetKind,
    masked,
)
from ai_gateway.domain.limit_choices import choice_word
from ai_gateway.domain.limits import Budget, Limit
from ai_gateway.domain.roles import read_role
from ai_gateway.stores.key_acts import KeyChange, KeyFacts

_Limits = Mapping[Budget, Limit | None]


def created(change: KeyChange, actor: Actor, at: datetime, limits: _Limits) -> list[AuditEntry]:
    key = change.after
    facts: dict[str, Fact] = {
        "owner": key.username,
        "label": key.label,
        "last4": key.last4,
        "allowed_models": _names(key.allowed_models),
        "expires_at": _moment(key.expires_at),
    }
    facts |= {f"{budget.window}_limit": choice_word(limit) for budget, limit in limits.items()}
    return [_entry(Action.KEY_CREATE, actor, at, key, Change(after=facts))]


def rotated(change: KeyChange, actor: Actor, at: datetime) -> list[AuditEntry]:
    before, after = change.before, change.after
    told = Change(
        {"last4": before.last4 if before else None, "previous_works_until": None},
        {"last4": after.last4, "previous_works_until": _moment(after.previous_until)},
    )
    return [_entry(Action.KEY_ROTATE, actor, at, after, told)]


def revoked(change: KeyChange, actor: Actor, at: datetime) -> list[AuditEntry]:
    before, after = change.before, change.after
    told = Change(_status(before) if before else {}, _status(after))
    return [_entry(Action.KEY_REVOKE, actor, at, after, told)]


def actor_facts(actor: Actor, at: datetime) -> dict[str, str | int | None]:
    """Who acted and when, to be kept outside SQL until the audit can be written."""
    return {
        "at": at.isoformat(),
        "user_id": actor.user_id,
        "name": actor.name,
        "role": actor.role.value,
        "address": actor.address,
    }


def read_actor(facts: Mapping[str, str | int | None]) -> tuple[Actor, datetime]:
    """Read back what `actor_facts` wrote."""
    user_id = facts["user_id"]
    actor = Actor(
        user_id=user_id if isinstance(user_id, int) else None,
        name=str(facts["name"]),
        role=read_role(str(facts["role"])),
        address=str(facts["address"]),
    )
    return actor, datetime.fromisoformat(str(facts["at"]))


def _entry(action: Action, actor: Actor, at: datetime, key: KeyFacts, change: Change) -> AuditEntry:
    target = Target(TargetKind.KEY, key.key_id, key.label or key.username)
    return AuditEntry(at, action, actor, target, masked(change), Result.OK)


def _status(key: KeyFacts) -> Facts:
    return {"status": key.status.value}


def _names(models: Iterable[str]) -> str:
    return ", ".join(models) or "all"


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
