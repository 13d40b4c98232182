"""Alerts in SQL: an alert and its message are one transaction, so that neither is there alone.

Any number of bookkeepers may look at once: the unique key of an alert lets one of them open it, and
an alert that is still open lets one of them close it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from ai_gateway.domain.alerts import (
    AlertKind,
    Condition,
    NoticeState,
    Rule,
    notice_of,
)
from ai_gateway.stores import sql
from ai_gateway.stores.alert_deliveries import add_notice
from ai_gateway.stores.alert_opening import ROWS_AT_ONCE, insert_alerts, key_of, open_alerts
from ai_gateway.stores.alert_tables import AlertRow
from ai_gateway.stores.sql_errors import write

RESOLVE_AFTER = timedelta(seconds=60)
"""So long something has to be absent: another bookkeeper may have looked a moment earlier."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a rule found; `is_told` is false where a cool-down kept it back."""

    kind: AlertKind
    subject: str
    window: str
    name: str
    words: str
    opened_at: datetime
    resolved_at: datetime | None
    is_told: bool


@dataclass(frozen=True, slots=True)
class Look:
    """When was looked, and the calendar windows that were open then."""

    at: datetime
    windows: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outage:
    """A part that was away; `ended_at` is None while it still is."""

    kind: AlertKind
    subject: str
    name: str
    words: str
    began_at: datetime
    ended_at: datetime | None


class AlertTable:
    """Writes messages for `channels`. Raises `GatewayUnavailable`."""

    def __init__(self, engine: Engine, channels: Sequence[str]) -> None:
        self._engine = engine
        self._channels = channels

    def sync(self, rule: Rule, found: Sequence[Condition], look: Look) -> None:
        """Open what fires and is not open, close what is over, and store the messages."""
        with sql.transaction(self._engine) as session:
            # Mostly nothing has changed, and then no other writer has to wait.
            if not _compare(session, rule, found, look).is_change:
                return
        write(lambda session: self._sync(session, rule, found, look), engine=self._engine)

    def close(self, kinds: Iterable[AlertKind], now: datetime) -> None:
        """Close all alerts of rules that are off; nobody is told."""
        of_kinds = AlertRow.kind.in_([kind.value for kind in kinds])
        still_open = select(AlertRow.id).where(AlertRow.resolved_at.is_(None), of_kinds)

        with sql.transaction(self._engine) as session:
            ids = list(session.scalars(still_open))
        if ids:
            write(lambda session: _mark_closed(session, ids, now), engine=self._engine)

    def record_outage(self, outage: Outage) -> bool:
        """Keep an outage that people were told of past this table; says whether we are the first.

        Where it is over, everybody is told so.
        """
        return write(lambda session: self._record(session, outage), engine=self._engine)

    def recent(self, count: int, *, since: datetime) -> tuple[Alert, ...]:
        """Those that are open, the newest first, then those that were closed after `since`."""
        is_open = AlertRow.resolved_at.is_(None)
        order = (AlertRow.opened_at.desc(), AlertRow.id.desc())
        first = select(AlertRow).where(is_open).order_by(*order).limit(count)
        then = select(AlertRow).where(AlertRow.resolved_at >= since).order_by(*order).limit(count)
        with sql.transaction(self._engine) as session:
            rows = [*session.scalars(first), *session.scalars(then)]
        return tuple(map(_read, rows[:count]))

    def _sync(self, session: Session, rule: Rule, found: Sequence[Condition], look: Look) -> None:
        diff = _compare(session, rule, found, look)
        _mark_absent(session, diff.back, None)
        _mark_absent(session, diff.missed, look.at)
        closed = _mark_closed(session, [*diff.gone, *diff.over], look.at)
        told = open_alerts(session, rule, diff.fresh, look.at)
        self._tell(session, NoticeState.FIRING, rule.kind, told, look.at)
        over = _told(session, sorted(closed.intersection(diff.over)))
        self._tell(session, NoticeState.RESOLVED, rule.kind, over, look.at)

    def _is_known(self, session: Session, outage: Outage) -> bool:
        """One that is over has a subject of its own; of the others one is open at a time."""
        same = (AlertRow.kind == outage.kind.value, AlertRow.subject == outage.subject)
        query = select(AlertRow.id).where(*same).limit(1)
        if outage.ended_at is None:
            query = query.where(AlertRow.resolved_at.is_(None))
        return session.scalar(query) is not None

    def _tell(
        self,
        session: Session,
        state: NoticeState,
        kind: AlertKind,
        conditions: Sequence[Condition],
        now: datetime,
    ) -> None:
        if conditions:
            notice = notice_of(uuid4().hex, state, kind, conditions, now)
            add_notice(session, notice, self._channels)

    def _record(self, session: Session, outage: Outage) -> bool:
        condition = Condition(outage.subject, outage.name, outage.words)
        if self._is_known(session, outage):
            return False
        if not insert_alerts(session, outage.kind, [condition], now=outage.began_at):
            return False
        if outage.ended_at is not None:
            row = AlertRow.kind == outage.kind.value, AlertRow.subject == outage.subject
            over = update(AlertRow).where(*row, AlertRow.resolved_at.is_(None))
            session.execute(over.values(resolved_at=outage.ended_at))
            self._tell(session, NoticeState.RESOLVED, outage.kind, [condition], outage.ended_at)
        return True


@dataclass(frozen=True, slots=True)
class _Diff:
    """Ids of open alerts by what became of them, and what is not open yet.

    `missed` are absent for the first time, `over` for long enough, `gone` went with their window.
    """

    back: list[int]
    missed: list[int]
    over: list[int]
    gone: list[int]
    fresh: list[Condition]

    @property
    def is_change(self) -> bool:
        return any((self.back, self.missed, self.over, self.gone, self.fresh))


def _compare(session: Session, rule: Rule, found: Sequence[Condition], look: Look) -> _Diff:
    present = {key_of(one): one for one in found}
    diff = _Diff([], [], [], [], [])
    still_open = set()
    query = select(AlertRow.id, AlertRow.subject, AlertRow.window, AlertRow.absent_since).where(
        AlertRow.kind == rule.kind.value, AlertRow.resolved_at.is_(None)
    )
    for alert_id, subject, window, absent_since in session.execute(query):
        still_open.add((subject, window))
        if (subject, window) in present:
            if absent_since is not None:
                diff.back.append(alert_id)
        elif window and window not in look.windows:
            diff.gone.append(alert_id)
        elif absent_since is None:
            diff.missed.append(alert_id)
        elif look.at - absent_since >= RESOLVE_AFTER:
            diff.over.append(alert_id)
    fresh = (one for key, one in present.items() if one.is_firing and key not in still_open)
    diff.fresh.extend(fresh)
    return diff


def _parts(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """No statement takes any number of values."""
    return (ids[start : start + ROWS_AT_ONCE] for start in range(0, len(ids), ROWS_AT_ONCE))


def _mark_absent(session: Session, ids: Sequence[int], since: datetime | None) -> None:
    for some in _parts(ids):
        mark = update(AlertRow).where(AlertRow.id.in_(some))
        session.execute(mark.values(absent_since=since))


def _told(session: Session, ids: Sequence[int]) -> list[Condition]:
    """What people were told of, in the words that they read then."""
    found: list[Condition] = []
    for some in _parts(ids):
        query = select(AlertRow).where(AlertRow.id.in_(some), AlertRow.is_told)
        found += [
            Condition(row.subject, row.name, row.words, row.window)
            for row in session.scalars(query.order_by(AlertRow.id))
        ]
    return found


def _mark_closed(session: Session, ids: Sequence[int], now: datetime) -> set[int]:
    """Close alerts; gives those that nobody else has closed meanwhile."""
    closed: set[int] = set()
    for some in _parts(ids):
        close = update(AlertRow).where(AlertRow.id.in_(some), AlertRow.resolved_at.is_(None))
        closed |= set(session.scalars(close.values(resolved_at=now).returning(AlertRow.id)))
    return closed


def _read(row: AlertRow) -> Alert:
    return Alert(
        AlertKind(row.kind),
        row.subject,
        row.window,
        row.name,
        row.words,
        row.opened_at,
        row.resolved_at,
        row.is_told,
    )
