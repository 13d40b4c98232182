"""The audit in SQL. It is append-only: no code changes an `AuditRow`, and a trigger refuses it."""

from sqlalchemy import Engine

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.tables import AuditRow


def row_of(entry: AuditEntry) -> AuditRow:
    """The row of an entry, for a store that writes it in the transaction of the change itself."""
    actor, target, change = entry.actor, entry.target, entry.change
    return AuditRow(
        at=entry.at,
        actor_user_id=actor.user_id,
        actor_name=actor.name[:150],
        actor_role=actor.role.value,
        address=actor.address[:45],
        action=entry.action.value,
        target_kind=target.kind.value if target else None,
        target_id=target.id[:64] if target else None,
        target_name=target.name[:254] if target else None,
        before=dict(change.before),
        after=dict(change.after),
        reason=change.reason,
        request_id=actor.request_id,
        result=entry.result.value,
    )


class AuditTable:
    """Adds entries, each in a short transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, entry: AuditEntry) -> None:
        """Store an entry; raises `GatewayUnavailable`."""
        write(lambda session: session.add(row_of(entry)), engine=self._engine)
