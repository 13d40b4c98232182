"""The audit as it is read: by keyset, newest first, so that a deep page costs what the first does.

Each text that narrows it is a whole one, which an index has: nothing here walks the table.
"""

from sqlalchemy import ColumnElement, Engine, select, tuple_

from ai_gateway.domain.audit_list import AuditLine, AuditPosition, AuditSelection, exact_target
from ai_gateway.stores.sql import transaction
from ai_gateway.stores.tables import AuditRow

_PLACE = tuple_(AuditRow.at, AuditRow.id)


class AuditLog:
    """Reads entries in short transactions of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def older(
        self, selection: AuditSelection, count: int, than: AuditPosition | None = None
    ) -> tuple[AuditLine, ...]:
        """The newest entries, or those before a position; newest first."""
        query = select(AuditRow).where(*_is_of(selection))
        if than is not None:
            query = query.where(_values(than) > _PLACE)
        query = query.order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(count)
        with transaction(self._engine) as session:
            return tuple(map(_read, session.scalars(query)))

    def newer(
        self, selection: AuditSelection, count: int, than: AuditPosition
    ) -> tuple[AuditLine, ...]:
        """The entries that come right after a position; newest first all the same."""
        query = select(AuditRow).where(*_is_of(selection), _values(than) < _PLACE)
        query = query.order_by(AuditRow.at, AuditRow.id).limit(count)
        with transaction(self._engine) as session:
            return tuple(map(_read, session.scalars(query)))[::-1]

    def has_any(self) -> bool:
        """Whether anything was ever recorded."""
        with transaction(self._engine) as session:
            return bool(session.scalar(select(select(AuditRow.id).exists())))


def _is_of(selection: AuditSelection) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if selection.actor:
        wanted.append(AuditRow.actor_name == selection.actor)
    if selection.target:
        wanted += _is_about(selection.target)
    if selection.action is not None:
        wanted.append(AuditRow.action == selection.action.value)
    if selection.result is not None:
        wanted.append(AuditRow.result == selection.result.value)
    if selection.since is not None:
        wanted.append(AuditRow.at >= selection.since)
    if selection.until is not None:
        wanted.append(AuditRow.at < selection.until)
    return wanted


def _is_about(target: str) -> list[ColumnElement[bool]]:
    exact = exact_target(target)
    if exact is None:
        return [AuditRow.target_name == target]
    return [AuditRow.target_kind == exact[0].value, AuditRow.target_id == exact[1]]


def _values(position: AuditPosition) -> ColumnElement[tuple[object, ...]]:
    return tuple_(position.at, position.number)


def _read(row: AuditRow) -> AuditLine:
    return AuditLine(
        position=AuditPosition(row.at, row.id),
        actor_id=row.actor_user_id,
        actor=row.actor_name,
        role=row.actor_role,
        address=row.address,
        action=row.action,
        target_kind=row.target_kind,
        target_id=row.target_id,
        target_name=row.target_name,
        before=row.before,
        after=row.after,
        reason=row.reason,
        request_id=row.request_id,
        result=row.result,
    )
