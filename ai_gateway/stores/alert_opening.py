"""Opens alerts, and says of which people have to be told: whoever opens one tells of it."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.orm import Session

from ai_gateway.domain.alerts import AlertKind, Condition, Rule, printable
from ai_gateway.stores import sql
from ai_gateway.stores.alert_tables import AlertRow

ROWS_AT_ONCE = 500
"""No statement takes any number of values."""

Key = tuple[str, str]
"""Subject and window."""


def open_alerts(
    session: Session, rule: Rule, fresh: Sequence[Condition], now: datetime
) -> list[Condition]:
    """Open alerts; gives those that people have to be told of."""
    told: list[Condition] = []
    for start in range(0, len(fresh), ROWS_AT_ONCE):
        some = fresh[start : start + ROWS_AT_ONCE]
        quiet = _cooling(session, rule, [one.subject for one in some], now)
        opened = insert_alerts(session, rule.kind, some, quiet, now=now)
        told += [one for one in some if key_of(one) in opened and one.subject not in quiet]
        _open_again(session, rule.kind, [one for one in some if key_of(one) not in opened])
    return told


def _cooling(
    session: Session, rule: Rule, subjects: Sequence[str], now: datetime
) -> frozenset[str]:
    """The subjects that people were told of so lately that they are not told again."""
    query = select(AlertRow.subject).where(
        AlertRow.kind == rule.kind.value,
        AlertRow.subject.in_(subjects),
        AlertRow.is_told,
        AlertRow.opened_at > now - rule.cool_down,
    )
    return frozenset(session.scalars(query)) if rule.cool_down else frozenset()


def insert_alerts(
    session: Session,
    kind: AlertKind,
    conditions: Sequence[Condition],
    quiet: frozenset[str] = frozenset(),
    *,
    now: datetime,
) -> set[Key]:
    """Add alerts; gives those that were not there, which others may have added at this moment."""
    earlier = _episodes(session, kind, [one.subject for one in conditions if not one.window])
    rows = [
        {
            "kind": kind.value,
            "subject": one.subject,
            "window": one.window,
            "episode": 1 if one.window else earlier.get(one.subject, 0) + 1,
            "name": printable(one.name)[:254],
            "words": printable(one.words)[:500],
            "opened_at": now,
            "is_told": one.subject not in quiet,
        }
        for one in conditions
    ]
    insert = sql.insert_into(session.get_bind().engine, AlertRow).values(rows)
    added = insert.on_conflict_do_nothing().returning(AlertRow.subject, AlertRow.window)
    return {(subject, window) for subject, window in session.execute(added)}


def _episodes(session: Session, kind: AlertKind, subjects: Sequence[str]) -> dict[str, int]:
    query = (
        select(AlertRow.subject, func.max(AlertRow.episode))
        .where(AlertRow.kind == kind.value, AlertRow.subject.in_(subjects), AlertRow.window == "")
        .group_by(AlertRow.subject)
    )
    return {row[0]: row[1] for row in session.execute(query)} if subjects else {}


def _open_again(session: Session, kind: AlertKind, again: Sequence[Condition]) -> None:
    """What was told in its window already is shown again, and not told again."""
    keys = [key_of(one) for one in again if one.window]
    if keys:
        of_kind = AlertRow.kind == kind.value
        opened = update(AlertRow).where(
            of_kind, tuple_(AlertRow.subject, AlertRow.window).in_(keys)
        )
        session.execute(opened.values(resolved_at=None, absent_since=None))


def key_of(condition: Condition) -> Key:
    return condition.subject, condition.window
