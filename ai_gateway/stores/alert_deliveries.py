"""Messages on their way: who sends which is settled here, before anything is sent.

A delivery is claimed for a while and then sent; a sender that dies in between lets its claim lapse,
and another takes over. Each channel sends in order: while its oldest message waits to be tried
again, the others wait too, so that a server which hangs costs one attempt and not one for each.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from sqlalchemy import Engine, and_, delete, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ai_gateway.domain.alerts import MOST_ATTEMPTS, AlertKind, Notice, NoticeState, retry_after
from ai_gateway.stores import sql
from ai_gateway.stores.alert_tables import AlertAttemptRow, AlertDeliveryRow
from ai_gateway.stores.sql_errors import write

Answer = TypeVar("Answer")

LEASE = timedelta(minutes=2)
"""Longer than any attempt may take."""

MAX_NOTE_CHARACTERS = 200


class DeliveryState(StrEnum):
    """A test is sent by whoever asked for it, once, and not taken up by anybody else."""

    WAITING = "waiting"
    SENT = "sent"
    GIVEN_UP = "given_up"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is ours to send now; `number` is that of the attempt."""

    delivery_id: int
    attempt_id: int
    number: int
    notice: Notice


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the log. `ended_at` is None while it runs, or where its sender died.

    `next_at` is when the delivery is tried again; None where it is not.
    """

    channel: str
    title: str
    state: NoticeState
    number: int
    started_at: datetime
    ended_at: datetime | None
    is_sent: bool
    note: str
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeAttempt:
    """What became of an attempt that was made past this table."""

    at: datetime
    is_sent: bool
    note: str


class AlertDeliveries:
    """Raises `GatewayUnavailable` where the database does not answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, channel: str, now: datetime) -> Claim | None:
        """Take the oldest message of a channel, if it is due and nobody else has it."""
        return self._write(lambda session: _claim(session, channel, now))

    def finish(self, claim: Claim, failure: str | None, now: datetime, note: str = "") -> None:
        """Say what became of an attempt; a failed one is tried again, some times."""
        self._write(lambda session: _finish(session, claim, failure, now, note))

    def begin_test(self, notice: Notice, channels: Iterable[str], now: datetime) -> list[Claim]:
        """Store a test for each channel; none where this very test was stored before."""

        def begin(session: Session) -> list[Claim]:
            known = AlertDeliveryRow.notice_id == notice.id
            if session.scalar(select(AlertDeliveryRow.id).where(known).limit(1)) is not None:
                return []
            rows = add_notice(session, notice, channels, DeliveryState.TEST)
            return [_attempt(session, row, now) for row in rows]

        return self._write(begin)

    def last_test_at(self) -> datetime | None:
        query = (
            select(AlertDeliveryRow.created_at)
            .where(AlertDeliveryRow.notice_state == NoticeState.TEST.value)
            .order_by(AlertDeliveryRow.id.desc())
            .limit(1)
        )
        with sql.transaction(self._engine) as session:
            return session.scalar(query)

    def record(
        self, notice: Notice, channel: str, attempts: Iterable[MadeAttempt], *, is_told: bool
    ) -> None:
        """Keep what was sent while this table was away, so that the log has it."""

        def record(session: Session) -> None:
            state = DeliveryState.SENT if is_told else DeliveryState.GIVEN_UP
            for row in add_notice(session, notice, [channel], state):
                session.add_all(_made(row, made) for made in attempts)

        self._write(record)

    def log(self, count: int) -> tuple[Attempt, ...]:
        """The last attempts, newest first."""
        query = (
            select(AlertAttemptRow, AlertDeliveryRow)
            .join(AlertDeliveryRow, AlertDeliveryRow.id == AlertAttemptRow.delivery_id)
            .order_by(AlertAttemptRow.started_at.desc(), AlertAttemptRow.id.desc())
            .limit(count)
        )
        with sql.transaction(self._engine) as session:
            return tuple(_read(*row) for row in session.execute(query))

    def forget_old(self, before: datetime, count: int = 500) -> int:
        """Remove at most so many deliveries older than `before`, with their attempts."""

        def forget(session: Session) -> int:
            old = (
                AlertDeliveryRow.created_at < before,
                AlertDeliveryRow.state != DeliveryState.WAITING.value,
            )
            query = select(AlertDeliveryRow.id).where(*old).order_by(AlertDeliveryRow.id)
            ids = list(session.scalars(query.limit(count)))
            session.execute(delete(AlertAttemptRow).where(AlertAttemptRow.delivery_id.in_(ids)))
            session.execute(delete(AlertDeliveryRow).where(AlertDeliveryRow.id.in_(ids)))
            return len(ids)

        return self._write(forget)

    def _write(self, action: Callable[[Session], Answer]) -> Answer:
        return write(action, engine=self._engine)


def add_notice(
    session: Session,
    notice: Notice,
    channels: Iterable[str],
    state: DeliveryState = DeliveryState.WAITING,
) -> list[AlertDeliveryRow]:
    """Store a message for each channel, to be sent from now on; what is there already stays."""
    known = set(
        session.scalars(
            select(AlertDeliveryRow.channel).where(AlertDeliveryRow.notice_id == notice.id)
        )
    )
    rows = [
        AlertDeliveryRow(
            notice_id=notice.id,
            channel=channel,
            state=state.value,
            notice_state=notice.state.value,
            kind=notice.kind.value if notice.kind else None,
            title=notice.title[:400],
            lines=list(notice.lines),
            created_at=notice.at,
            attempts=0,
            next_at=notice.at,
            leased_until=None,
        )
        for channel in channels
        if channel not in known
    ]
    try:
        with session.begin_nested():
            session.add_all(rows)
    except IntegrityError:
        # Somebody else stored the same message at this very moment.
        return []
    return rows


def _claim(session: Session, channel: str, now: datetime) -> Claim | None:
    table = AlertDeliveryRow
    waiting = (table.state == DeliveryState.WAITING.value, table.channel == channel)
    # One whose sender died at the last attempt has none left.
    spent = and_(*waiting, table.attempts >= MOST_ATTEMPTS, table.leased_until <= now)
    session.execute(update(table).where(spent).values(state=DeliveryState.GIVEN_UP.value))
    oldest = select(table).where(*waiting).order_by(table.id).limit(1)
    row = session.scalar(oldest)
    if row is None or row.next_at > now or (row.leased_until and row.leased_until > now):
        return None
    is_free = or_(table.leased_until.is_(None), table.leased_until <= now)
    # Another bookkeeper may have read the same row: only one of them changes it.
    is_same = (table.id == row.id, *waiting, table.attempts == row.attempts)
    mine = session.execute(
        update(table).where(*is_same, is_free).values(leased_until=now + LEASE).returning(table.id)
    )
    return None if mine.first() is None else _attempt(session, row, now)


def _attempt(session: Session, row: AlertDeliveryRow, now: datetime) -> Claim:
    row.attempts += 1
    attempt = AlertAttemptRow(
        delivery_id=row.id,
        number=row.attempts,
        started_at=now,
        ended_at=None,
        is_sent=False,
        note="",
    )
    session.add(attempt)
    session.flush()
    return Claim(row.id, attempt.id, row.attempts, _notice(row))


def _made(row: AlertDeliveryRow, made: MadeAttempt) -> AlertAttemptRow:
    row.attempts += 1
    return AlertAttemptRow(
        delivery_id=row.id,
        number=row.attempts,
        started_at=made.at,
        ended_at=made.at,
        is_sent=made.is_sent,
        note=made.note[:MAX_NOTE_CHARACTERS],
    )


def _finish(session: Session, claim: Claim, failure: str | None, now: datetime, note: str) -> None:
    attempt = session.get(AlertAttemptRow, claim.attempt_id)
    row = session.get(AlertDeliveryRow, claim.delivery_id)
    if attempt is None or row is None:
        return
    attempt.ended_at = now
    attempt.is_sent = failure is None
    attempt.note = (failure or note)[:MAX_NOTE_CHARACTERS]
    if failure is None:
        row.state = DeliveryState.SENT.value
    elif row.attempts == claim.number and row.state == DeliveryState.WAITING.value:
        # Not where the claim lapsed meanwhile and another tries it now.
        row.leased_until = None
        row.next_at = now + retry_after(claim.number)
        if claim.number >= MOST_ATTEMPTS:
            row.state = DeliveryState.GIVEN_UP.value


def _notice(row: AlertDeliveryRow) -> Notice:
    return Notice(
        row.notice_id,
        NoticeState(row.notice_state),
        AlertKind(row.kind) if row.kind else None,
        row.title,
        tuple(row.lines),
        row.created_at,
    )


def _read(attempt: AlertAttemptRow, row: AlertDeliveryRow) -> Attempt:
    is_last = attempt.number == row.attempts
    is_waiting = row.state == DeliveryState.WAITING.value
    return Attempt(
        row.channel,
        row.title,
        NoticeState(row.notice_state),
        attempt.number,
        attempt.started_at,
        attempt.ended_at,
        attempt.is_sent,
        attempt.note,
        row.next_at if is_last and is_waiting and attempt.ended_at else None,
    )
