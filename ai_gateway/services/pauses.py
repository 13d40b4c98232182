"""Stops the calls of a user, those to a provider, or all, and lets them go on again.

A pause commits in SQL with its line of the audit, then goes to Redis, so that the very next call of
every worker is refused. Calls that are running go on; revoking their key ends them.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ai_gateway.domain.audit import (
    Action,
    Actor,
    AuditEntry,
    Change,
    Facts,
    Target,
    TargetKind,
)
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.house_rules import (
    MAX_REASON_CHARACTERS,
    Pause,
    PauseScope,
    PauseTarget,
)
from ai_gateway.domain.roles import Permission
from ai_gateway.errors import BudgetUnavailable, InvalidRequest, UserNotFound
from ai_gateway.services.audit import Audit
from ai_gateway.stores.house_rules import HouseRulesCopy, HouseRulesTable
from ai_gateway.stores.pauses import PauseActs

logger = logging.getLogger(__name__)

NEEDED = {
    PauseScope.EVERYTHING: Permission.PAUSE_SERVICE,
    PauseScope.PROVIDER: Permission.PAUSE_SERVICE,
    PauseScope.USER: Permission.MANAGE_LIMITS,
}
"""Who may limit a user may also pause one; the service is for administrators."""


@dataclass(frozen=True, slots=True)
class PauseStores:
    """Where pauses are kept, and where the rules with them are published."""

    acts: PauseActs
    table: HouseRulesTable
    copy: HouseRulesCopy


@dataclass(frozen=True, slots=True)
class PauseChange:
    """What was set or lifted; not `is_in_force` while Redis is away."""

    pause: Pause
    is_in_force: bool


class Pauses:
    """Sets, lifts and lists; `providers` are the names of those that are on."""

    def __init__(
        self, stores: PauseStores, providers: Sequence[str], *, audit: Audit, clock: Clock
    ) -> None:
        self._stores = stores
        self._audit = audit
        self._clock = clock
        self.providers = tuple(providers)

    def all(self) -> tuple[Pause, ...]:
        """What is paused, everything first; raises `GatewayUnavailable`."""
        return self._stores.acts.all()

    def in_force(self) -> tuple[Pause, ...]:
        """What callers meet now; nothing while Redis is away, since no call is admitted then."""
        with suppress(BudgetUnavailable):
            rules = self._stores.copy.load()
            return tuple(rules.pauses.values()) if rules else ()
        return ()

    def set(self, target: PauseTarget, reason: str, actor: Actor) -> PauseChange:
        """Pause from the next call on; what is paused already gets the new reason.

        Raises `InvalidRequest`, `UserNotFound` and `GatewayUnavailable`.
        """
        reason = checked_reason(reason)
        pause = Pause(target, self.name_of(target), reason, self._clock(), actor.name)

        def review(known: Pause | None) -> list[AuditEntry]:
            change = Change(_facts(known), _facts(pause), reason)
            return [self._audit.entry(Action.PAUSE, actor, _audited(pause), change)]

        return PauseChange(self._stores.acts.set(pause, review), self._publish())

    def lift(self, target: PauseTarget, actor: Actor) -> PauseChange | None:
        """Let calls go on; None where nothing was paused. Raises `GatewayUnavailable`."""

        def review(known: Pause | None) -> list[AuditEntry]:
            target = _audited(known) if known else None
            return [
                self._audit.entry(
                    Action.PAUSE_LIFT, actor, target, Change(_facts(known), _facts(None))
                )
            ]

        lifted = self._stores.acts.lift(target, review)
        return PauseChange(lifted, self._publish()) if lifted else None

    def name_of(self, target: PauseTarget) -> str:
        """The name of what a target means; raises `InvalidRequest` or `UserNotFound`."""
        match target.scope:
            case PauseScope.EVERYTHING:
                return ""
            case PauseScope.PROVIDER:
                if target.subject not in self.providers:
                    raise InvalidRequest(f"There is no provider {target.subject!a}.", "provider")
                return target.subject
            case PauseScope.USER:
                user_id = int(target.subject)
                name = self._stores.acts.username(user_id)
                if name is None:
                    raise UserNotFound(user_id)
                return name

    def _publish(self) -> bool:
        try:
            self._stores.copy.publish(self._stores.table.read())
        except BudgetUnavailable:
            # The bookkeeper publishes them again within 30 s of Redis being back.
            logger.warning("publish_postponed")
            return False
        return True


def checked_reason(reason: str) -> str:
    """The reason as callers will read it; raises `InvalidRequest`."""
    reason = reason.strip()
    if not 0 < len(reason) <= MAX_REASON_CHARACTERS or not reason.isprintable():
        raise InvalidRequest(
            f"Give a reason on one line, in at most {MAX_REASON_CHARACTERS} characters: "
            "whoever calls reads it.",
            "reason",
        )
    return reason


def _facts(pause: Pause | None) -> Facts:
    return {"paused": pause is not None, "reason": pause.reason if pause else None}


def _audited(pause: Pause) -> Target:
    kinds = {
        PauseScope.EVERYTHING: TargetKind.INSTALLATION,
        PauseScope.PROVIDER: TargetKind.PROVIDER,
        PauseScope.USER: TargetKind.USER,
    }
    target = pause.target
    return Target(kinds[target.scope], target.subject or "calls", pause.name or "all calls")


class PauseFigures:
    """How many pauses are on, for `/metrics`."""

    def __init__(self, acts: PauseActs) -> None:
        self._acts = acts

    def read(self, _now: datetime) -> dict[str, int]:
        """One for each scope; raises `GatewayUnavailable`."""
        scopes = Counter(pause.target.scope for pause in self._acts.all())
        return {f"pauses|{scope}": scopes[scope] for scope in PauseScope}
