"""Refused requests page by page, newest first, and how many there were for each reason.

The table has the last of them only; the numbers by hour have all, those of strangers too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_

from ai_gateway.domain.money import Money
from ai_gateway.domain.request_list import Place, RefusalSelection, Span
from ai_gateway.errors import NeededHold, Refusal
from ai_gateway.stores.ownership import owned
from ai_gateway.stores.refusal_tables import RefusalHour, RefusalRow
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import User, db


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """One refused request of a known user. `budget` is the one that refused, if it was one."""

    request_id: str
    place: Place
    user_id: int
    username: str | None
    key_id: str
    model: str
    operation: str
    outcome: str
    reason: str
    budget: Refusal | None

    @property
    def at(self) -> datetime:
        return self.place.at


class RefusalList:
    """Reads only; raises `GatewayUnavailable`."""

    @translated_errors()
    def walk(
        self,
        selection: RefusalSelection,
        span: Span,
        count: int,
        *,
        start: Place | None = None,
        onward: bool = False,
    ) -> tuple[RefusedRequest, ...]:
        """Up to so many, newest first; those right before `start`, or `onward` right after it."""
        place = tuple_(RefusalRow.at, RefusalRow.id)
        query = (
            select(RefusalRow, User.username)
            .outerjoin(User, User.id == RefusalRow.user_id)
            .where(RefusalRow.at >= span.since, *owned(RefusalRow.user_id, selection.whose))
        )
        if span.until is not None:
            query = query.where(RefusalRow.at < span.until)
        for column, text in (
            (RefusalRow.key_id, selection.whose.key_id),
            (RefusalRow.model, selection.model),
            (RefusalRow.reason, selection.reason),
        ):
            if text:
                query = query.where(column == text)
        if start is not None:
            bound = tuple_(start.at, start.number)
            query = query.where(place > bound if onward else place < bound)
        order: tuple[Any, ...] = (RefusalRow.at, RefusalRow.id)
        if not onward:
            order = tuple(column.desc() for column in order)
        rows = db.session.execute(query.order_by(*order).limit(count)).all()
        return tuple(_read(row, username) for row, username in (rows[::-1] if onward else rows))

    @translated_errors()
    def numbers(self, span: Span) -> Mapping[str, int]:
        """How many requests of a span were refused, by reason."""
        number = func.sum(RefusalHour.count)
        query = select(RefusalHour.reason, number).where(RefusalHour.hour >= span.since)
        if span.until is not None:
            query = query.where(RefusalHour.hour < span.until)
        query = query.group_by(RefusalHour.reason).order_by(number.desc(), RefusalHour.reason)
        return {reason: int(count) for reason, count in db.session.execute(query)}

    @translated_errors()
    def find(self, request_id: str, user_id: int | None = None) -> RefusedRequest | None:
        """The refusal of one request; that of another user than `user_id` is none."""
        query = (
            select(RefusalRow, User.username)
            .outerjoin(User, User.id == RefusalRow.user_id)
            .where(RefusalRow.request_id == request_id)
            .order_by(RefusalRow.id)
            .limit(1)
        )
        if user_id is not None:
            query = query.where(RefusalRow.user_id == user_id)
        found = db.session.execute(query).first()
        return _read(*found) if found else None


def _read(row: RefusalRow, username: str | None) -> RefusedRequest:
    return RefusedRequest(
        request_id=row.request_id,
        place=Place(row.at, row.id),
        user_id=row.user_id,
        username=username,
        key_id=row.key_id,
        model=row.model,
        operation=row.operation,
        outcome=row.outcome,
        reason=row.reason,
        budget=_budget(row),
    )


def _budget(row: RefusalRow) -> Refusal | None:
    if row.scope is None or row.window is None or row.resets_at is None:
        return None
    return Refusal(
        scope=row.scope,
        window=row.window,
        limit=Money(row.limit_nano_usd or 0),
        spent=Money(row.spent_nano_usd or 0),
        held=Money(row.held_nano_usd or 0),
        needed=Money(row.needed_nano_usd or 0),
        resets_at=row.resets_at,
        hold=_hold(row),
    )


def _hold(row: RefusalRow) -> NeededHold | None:
    if row.output_tokens is None:
        return None
    return NeededHold(
        input_pico_usd=row.input_pico_usd or 0,
        output_pico_usd=row.output_pico_usd or 0,
        output_tokens=row.output_tokens,
        asked_tokens=row.asked_tokens or 0,
        affordable_tokens=row.affordable_tokens or 0,
    )
