"""Keeps a line of every change and every log-in. What cannot be recorded must not go unnoticed."""

from ai_gateway.domain.audit import (
    NO_CHANGE,
    Action,
    Actor,
    AuditEntry,
    Change,
    Result,
    Target,
    masked,
)
from ai_gateway.domain.clock import Clock
from ai_gateway.stores.audit import AuditTable


class Audit:
    """Makes the entries of the audit and stores them."""

    def __init__(self, table: AuditTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def record(
        self,
        action: Action,
        actor: Actor,
        target: Target | None = None,
        change: Change = NO_CHANGE,
        result: Result = Result.OK,
    ) -> None:
        """Store one entry; raises `GatewayUnavailable`.

        Where the change is in SQL, hand `entry` to its store instead: both are written, or neither.
        """
        self._table.add(self.entry(action, actor, target, change, result))

    def entry(
        self,
        action: Action,
        actor: Actor,
        target: Target | None = None,
        change: Change = NO_CHANGE,
        result: Result = Result.OK,
    ) -> AuditEntry:
        """One line of the audit, now, without secrets."""
        return AuditEntry(self._clock(), action, actor, target, masked(change), result)
