"""What SQL knows of resets: whose they are, what was booked, and who did it."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.money import Money
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.tables import AuditRow, LedgerEntry, User


class ResetRecords:
    """Reads of users and of the ledger, and the audit of what was done."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def names(self, user_ids: Sequence[int]) -> Mapping[int, str]:
        """The names of users; those that are gone are left out."""
        query = select(User.id, User.username).where(User.id.in_(user_ids)).order_by(User.id)
        with transaction(self._engine) as session:
            return {row.id: row.username for row in session.execute(query)}

    def booked(self, reset_ids: Sequence[str]) -> Mapping[str, Money]:
        """What was taken off by resets that are in the ledger already."""
        query = select(LedgerEntry.request_id, LedgerEntry.cost_nano_usd).where(
            LedgerEntry.request_id.in_(reset_ids)
        )
        with transaction(self._engine) as session:
            return {row.request_id: Money(-row.cost_nano_usd) for row in session.execute(query)}

    def keep(self, entries: Sequence[AuditEntry]) -> None:
        """Store audit entries, without those that a repeat makes again.

        Raises `GatewayUnavailable`.
        """

        def add(session: Session) -> None:
            rows = [row_of(entry) for entry in entries]
            known = select(AuditRow.request_id).where(
                # By the index of targets; a reset has a name of its own for each user.
                AuditRow.target_kind.in_({row.target_kind for row in rows}),
                AuditRow.target_id.in_({row.target_id for row in rows}),
                AuditRow.request_id.in_({row.request_id for row in rows}),
            )
            kept = set(session.scalars(known))
            session.add_all(row for row in rows if row.request_id not in kept)

        write(add, engine=self._engine)
