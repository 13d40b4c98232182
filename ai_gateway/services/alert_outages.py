"""Tells that the database is away, which cannot go by way of the database.

What was told is remembered here and, while it answers, in Redis, so that one of many bookkeepers
tells it. With both away each bookkeeper tells by itself; the id of the message is then its own too.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from ai_gateway.domain.alert_conditions import down, moment
from ai_gateway.domain.alerts import (
    MOST_ATTEMPTS,
    AlertKind,
    Notice,
    NoticeState,
    Rule,
    notice_of,
    retry_after,
)
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.notify.channel import Channel
from ai_gateway.services.alert_delivery import attempt
from ai_gateway.stores.alert_deliveries import LEASE, AlertDeliveries, MadeAttempt
from ai_gateway.stores.alert_marks import AlertMarks
from ai_gateway.stores.alerts import AlertTable, Outage

SQL_NAME = "the database"


@dataclass(slots=True)
class _Way:
    """One message through one channel."""

    next_at: datetime
    is_told: bool = False
    attempts: list[MadeAttempt] = field(default_factory=list)


@dataclass(slots=True)
class _Told:
    """An outage, and what this process did about it."""

    name: str
    began_at: datetime
    notice: Notice | None = None
    ways: dict[str, _Way] = field(default_factory=dict)


class OutageTeller:
    """Sends at once, with pauses between attempts; once SQL is back, it gets to know of it."""

    def __init__(
        self,
        channels: Sequence[Channel],
        marks: AlertMarks,
        alerts: AlertTable,
        deliveries: AlertDeliveries,
    ) -> None:
        self._channels = channels
        self._marks = marks
        self._alerts = alerts
        self._deliveries = deliveries
        self._outages: dict[AlertKind, _Told] = {}
        self._told_at: dict[AlertKind, datetime] = {}

    def tell(self, rule: Rule, name: str, since: datetime, now: datetime) -> None:
        """Tell of a part that has been away since then; called again and again while it is."""
        told = self._outages.get(rule.kind)
        if told is None:
            told = self._outages[rule.kind] = _Told(name, self._began(rule.kind, since))
        if told.notice is None:
            found = down(rule, name, told.began_at, now) if rule.is_on else []
            if not found or self._is_cooling(rule, now):
                return
            notice_id = f"{rule.kind.value}-{told.began_at:%Y%m%dT%H%M%S}"
            told.notice = notice_of(notice_id, NoticeState.FIRING, rule.kind, found, now)
            told.ways = {channel.name: _Way(now) for channel in self._channels}
            self._told_at[rule.kind] = now
        for channel in self._channels:
            self._try(channel, told.notice, told.ways[channel.name], now)

    def settle(self, kind: AlertKind, *, is_over: bool, now: datetime) -> None:
        """SQL is back: keep what was told, and where it is over, have people told so.

        Raises `GatewayUnavailable` where SQL is away again; then nothing is forgotten.
        """
        told = self._outages.get(kind) or self._left_by_another(kind)
        if told is None:
            return
        if self._was_told(kind, told):
            began = told.began_at
            self._alerts.record_outage(
                Outage(
                    kind=kind,
                    # Told past SQL, it has to be one of its own even where nobody knows of others.
                    subject=f"{kind.value} {began.isoformat()}" if is_over else kind.value,
                    name=told.name,
                    words=f"it did not answer from {moment(began)} to {moment(now)}"
                    if is_over
                    else f"it has not answered since {moment(began)}",
                    began_at=began,
                    ended_at=now if is_over else None,
                )
            )
        for channel, way in told.ways.items():
            if told.notice and way.attempts:
                self._deliveries.record(told.notice, channel, way.attempts, is_told=way.is_told)
        self._outages.pop(kind, None)
        with suppress(BudgetUnavailable):
            self._marks.end(kind.value)

    def _began(self, kind: AlertKind, since: datetime) -> datetime:
        try:
            return self._marks.begin(kind.value, since)
        except BudgetUnavailable:
            return since

    def _left_by_another(self, kind: AlertKind) -> _Told | None:
        """What a bookkeeper began that is gone. Of Redis there can be no mark in Redis."""
        if kind is AlertKind.SQL_DOWN:
            with suppress(BudgetUnavailable):
                began = self._marks.began(kind.value)
                return _Told(SQL_NAME, began) if began else None
        return None

    def _was_told(self, kind: AlertKind, told: _Told) -> bool:
        if any(way.is_told for way in told.ways.values()):
            return True
        notice_id = f"{kind.value}-{told.began_at:%Y%m%dT%H%M%S}"
        with suppress(BudgetUnavailable):
            return any(
                self._marks.is_kept(f"{notice_id}:{channel.name}") for channel in self._channels
            )
        return False

    def _is_cooling(self, rule: Rule, now: datetime) -> bool:
        last = self._told_at.get(rule.kind)
        return last is not None and now - last < rule.cool_down

    def _try(self, channel: Channel, notice: Notice, way: _Way, now: datetime) -> None:
        delivery = f"{notice.id}:{channel.name}"
        has_attempts = len(way.attempts) < MOST_ATTEMPTS
        if way.is_told or not has_attempts or now < way.next_at or not self._claim(delivery):
            return
        failure, note = attempt(channel, notice, len(way.attempts) + 1)
        way.attempts.append(MadeAttempt(now, failure is None, failure or note))
        way.is_told = failure is None
        way.next_at = now + retry_after(len(way.attempts))
        with suppress(BudgetUnavailable):
            (self._marks.keep if way.is_told else self._marks.release)(delivery)

    def _claim(self, delivery: str) -> bool:
        try:
            return self._marks.claim(delivery, LEASE)
        except BudgetUnavailable:
            return True
