"""What belongs to one user: the costs of the days, and what was changed about user and keys."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select

from ai_gateway.domain.audit import TargetKind
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import Money
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import AccountTotal, AuditRow, VirtualKey, db


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One line of the audit that is about the user or one of the keys."""

    at: datetime
    actor: str
    action: str
    result: str
    reason: str
    before: dict[str, str | int | bool | None]
    after: dict[str, str | int | bool | None]


class UserRecords:
    """Reads only, and never more than was asked for."""

    @translated_errors()
    def daily_costs(self, user_id: int, month: str) -> dict[str, Money]:
        """The costs of the days of a month (`2026-11`) on which the user called, by their names."""
        query = select(AccountTotal.window_id, AccountTotal.cost_nano_usd).where(
            AccountTotal.scope == Scope.USER,
            AccountTotal.subject_id == user_id,
            AccountTotal.window_id.between(f"{month}-01", f"{month}-31"),
        )
        return {day: Money(cost) for day, cost in db.session.execute(query)}

    @translated_errors()
    def changes(self, user_id: int, count: int) -> tuple[RecordedChange, ...]:
        """The last lines of the audit about the user or a key of the user, newest first."""
        keys = select(VirtualKey.key_id).where(VirtualKey.user_id == user_id)
        query = (
            select(AuditRow)
            .where(
                or_(
                    and_(
                        AuditRow.target_kind == TargetKind.USER.value,
                        AuditRow.target_id == str(user_id),
                    ),
                    and_(
                        AuditRow.target_kind == TargetKind.KEY.value,
                        AuditRow.target_id.in_(keys),
                    ),
                )
            )
            .order_by(AuditRow.id.desc())
            .limit(count)
        )
        return tuple(
            RecordedChange(
                row.at, row.actor_name, row.action, row.result, row.reason, row.before, row.after
            )
            for row in db.session.scalars(query)
        )
