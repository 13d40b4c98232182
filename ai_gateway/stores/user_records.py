"""What belongs to one user: the keys with what they spent, and what was changed about the user."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from ai_gateway.domain.audit import TargetKind
from ai_gateway.domain.limits import Scope
from ai_gateway.domain.money import Money
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import AccountTotal, AuditRow, VirtualKey, db


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A virtual key of the user with its costs; `status` is the stored word."""

    key_id: str
    last4: str
    label: str
    status: str
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None
    cost_today: Money
    cost_this_month: Money


@dataclass(frozen=True, slots=True)
class RecordedChange:
    """One line of the audit that is about the user."""

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
    def keys(self, user_id: int, *, day: str, month: str) -> tuple[KeyUse, ...]:
        """The keys, the newest first; `day` and `month` name the open windows."""
        today, this_month = aliased(AccountTotal), aliased(AccountTotal)
        last_used = (
            select(func.max(AccountTotal.last_request_at))
            .where(AccountTotal.scope == Scope.KEY, AccountTotal.subject_id == VirtualKey.id)
            .scalar_subquery()
        )
        query = select(
            VirtualKey,
            last_used,
            func.coalesce(today.cost_nano_usd, 0),
            func.coalesce(this_month.cost_nano_usd, 0),
        )
        for account, window in ((today, day), (this_month, month)):
            query = query.outerjoin(
                account,
                (account.scope == Scope.KEY)
                & (account.subject_id == VirtualKey.id)
                & (account.window_id == window),
            )
        query = query.where(VirtualKey.user_id == user_id).order_by(VirtualKey.id.desc())
        return tuple(
            KeyUse(
                key.key_id,
                key.last4,
                key.label,
                key.status,
                key.expires_at,
                key.created_at,
                used,
                Money(cost_today),
                Money(cost_month),
            )
            for key, used, cost_today, cost_month in db.session.execute(query)
        )

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
        """The last lines of the audit that name the user as target, newest first."""
        query = (
            select(AuditRow)
            .where(
                AuditRow.target_kind == TargetKind.USER.value, AuditRow.target_id == str(user_id)
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
