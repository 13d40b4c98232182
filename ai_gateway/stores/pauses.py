"""How pauses are set and lifted in SQL: together with the audit."""

from collections.abc import Callable, Iterable

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import AuditEntry
from ai_gateway.domain.house_rules import Pause, PauseTarget
from ai_gateway.stores.audit import row_of
from ai_gateway.stores.house_rules import change_rules, pauses_in
from ai_gateway.stores.rule_tables import PauseRow
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.sql_errors import write
from ai_gateway.stores.tables import User

Review = Callable[[Pause | None], Iterable[AuditEntry]]
"""Gets the pause that there was and gives the change its lines of the audit."""


class PauseActs:
    """Each in one short transaction; one waits for another at the version of the rules."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> tuple[Pause, ...]:
        """What is paused, as SQL has it."""
        with transaction(self._engine) as session:
            return tuple(pauses_in(session).values())

    def set(self, pause: Pause, review: Review) -> Pause:
        """Pause, or give another reason for what is paused already; since when stays."""

        def set_one(session: Session) -> Pause:
            change_rules(session)
            known = pauses_in(session).get(pause.target)
            if known is not None and known.reason == pause.reason:
                return known
            target = pause.target
            row = session.get(PauseRow, (target.scope.value, target.subject))
            if row is None:
                row = PauseRow(scope=target.scope.value, subject=target.subject, since=pause.since)
                session.add(row)
            row.name, row.reason, row.by = pause.name, pause.reason, pause.by
            session.add_all(row_of(entry) for entry in review(known))
            session.flush()
            return pauses_in(session)[target]

        return write(set_one, engine=self._engine)

    def lift(self, target: PauseTarget, review: Review) -> Pause | None:
        """End a pause; None where there was none."""

        def lift(session: Session) -> Pause | None:
            change_rules(session)
            known = pauses_in(session).get(target)
            if known is not None:
                session.execute(
                    delete(PauseRow).where(
                        PauseRow.scope == target.scope.value, PauseRow.subject == target.subject
                    )
                )
                session.add_all(row_of(entry) for entry in review(known))
            return known

        return write(lift, engine=self._engine)

    def username(self, user_id: int) -> str | None:
        with transaction(self._engine) as session:
            return session.scalar(select(User.username).where(User.id == user_id))
