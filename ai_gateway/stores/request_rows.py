"""Reads calls page by page, narrowed as asked: by keyset, and never more of the ledger at once
than a worker can look through without standing still.

A call is the sum of its entries with the words of the last. Most have but one; the few that have
more are put together apart, by an index that has only those.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    Subquery,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)

from ai_gateway.domain.request_list import CallSelection, Place, Span, Whose
from ai_gateway.stores.ledger_export import Row, added
from ai_gateway.stores.ownership import owned
from ai_gateway.stores.rollups import CALL
from ai_gateway.stores.sql import table_of
from ai_gateway.stores.sql_errors import translated_errors
from ai_gateway.stores.tables import LedgerEntry, Moment, User, db
from ai_gateway.stores.task_tables import LedgerArchiveRow

MOST_LOOKED_THROUGH = 10_000
"""Entries for one page; where fewer calls than wanted are among them, the next page goes on."""

COUNTED_AT_ONCE, MOST_PARTS = 5, 2
"""To count, so many times that number is looked through at once, and so often."""

_ENTRY = table_of(LedgerEntry)
_OF_LAST_ENTRY = (
    *("admitted_at", "user_id", "key_id", "provider", "model_requested", "model"),
    *("served_model", "outcome", "stream", "price_status"),
)


@dataclass(frozen=True, slots=True)
class Walk:
    """A way through a span: from its newest call back in time, or `onward` from its oldest.

    It begins behind `start`, if there is one.
    """

    span: Span
    start: Place | None = None
    onward: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Calls in the order of the walk, each with its place, and where to go on; None at its end."""

    calls: tuple[tuple[Place, Row], ...]
    reached: Place | None


@dataclass(frozen=True, slots=True)
class CallCount:
    """How many calls were found; there may be more where it is not `exact`."""

    number: int
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """When the oldest entry was admitted, and the last day of which entries left the ledger."""

    oldest: datetime | None
    archived_day: str | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The part of a way that one read looks through, up to and with `end`."""

    way: Walk
    whose: Whose
    end: Place | None = None

    def places(self, at: Any, number: Any) -> list[ColumnElement[bool]]:
        """Whether a call stands in it, by its moment and the id of its first entry."""
        start, place = self.way.start, tuple_(at, number)
        found = self.moments(at)
        if start is not None:
            bound = _values(start)
            found.append(place > bound if self.way.onward else place < bound)
        if self.end is not None:
            bound = _values(self.end)
            found.append(place <= bound if self.way.onward else place >= bound)
        return found

    def moments(self, at: Any) -> list[ColumnElement[bool]]:
        """Whether any entry of a call in it may have this moment."""
        span, start, end = self.way.span, self.way.start, self.end
        first, last = (start, end) if self.way.onward else (end, start)
        found = [at >= (span.since if first is None else max(first.at, span.since))]
        if last is not None:
            found.append(at <= last.at)
        return found if span.until is None else [*found, at < span.until]

    def entries(self) -> list[ColumnElement[bool]]:
        return [
            *self.places(_ENTRY.c.admitted_at, _ENTRY.c.id),
            *owned(_ENTRY.c.user_id, self.whose),
        ]

    def later(self) -> Select[Any]:
        """The ids of its calls that have more than one entry."""
        return select(_ENTRY.c.request_id).where(
            # As a constant, since no index of a part of the rows is taken for a parameter.
            _ENTRY.c.entry_no > literal_column("1"),
            *self.moments(_ENTRY.c.admitted_at),
            *owned(_ENTRY.c.user_id, self.whose),
        )


class RequestRows:
    """Reads only, `at_once` entries in one statement at most; raises `GatewayUnavailable`."""

    def __init__(self, at_once: int = MOST_LOOKED_THROUGH) -> None:
        self._at_once = at_once

    @translated_errors()
    def walk(self, selection: CallSelection, way: Walk, count: int) -> Found:
        """Up to so many calls; two statements."""
        stretch = _Stretch(way, selection.whose)
        stretch = replace(stretch, end=self._end(selection, stretch, count))
        entries = (
            select(_ENTRY, User.username)
            .outerjoin(User, User.id == _ENTRY.c.user_id)
            .where(_ENTRY.c.kind == CALL, _ENTRY.c.request_id.in_(_ids(selection, stretch, count)))
            .order_by(_ENTRY.c.request_id, _ENTRY.c.entry_no)
        )
        calls = _calls([dict(row) for row in db.session.execute(entries).mappings()])
        calls.sort(key=itemgetter(0), reverse=not way.onward)
        if len(calls) > count:
            return Found(tuple(calls[:count]), calls[count - 1][0])
        return Found(tuple(calls), stretch.end)

    @translated_errors()
    def count(self, selection: CallSelection, span: Span) -> CallCount:
        """Count the calls of a span bit by bit, the newest of them where there are too many."""
        way, number = Walk(span), 0
        for _ in range(MOST_PARTS):
            stretch = _Stretch(way, selection.whose)
            most = COUNTED_AT_ONCE * self._at_once
            stretch = replace(stretch, end=_last_place(stretch, most - 1))
            one, several = (select(part.subquery()) for part in _parts(selection, stretch))
            both = union_all(one, several).subquery()
            number += db.session.scalar(select(func.count()).select_from(both)) or 0
            if stretch.end is None:
                return CallCount(number, is_exact=True)
            way = Walk(span, stretch.end)
            # Other greenlets of this worker run between two parts.
            time.sleep(0)
        return CallCount(number, is_exact=False)

    def _end(self, selection: CallSelection, stretch: _Stretch, count: int) -> Place | None:
        """The place beyond which a page does not look; None where the span ends before it."""
        if selection.has_all:
            # Each first entry is a call that is wanted: one more than the page has is enough.
            return _last_place(stretch, count, _ENTRY.c.entry_no == 1, _ENTRY.c.kind == CALL)
        return _last_place(stretch, self._at_once - 1)

    @translated_errors()
    def kept(self) -> Kept:
        """How far back the ledger goes."""
        oldest = select(_ENTRY.c.admitted_at).order_by(_ENTRY.c.admitted_at, _ENTRY.c.id).limit(1)
        gone = select(func.max(LedgerArchiveRow.day)).where(LedgerArchiveRow.removed_entries > 0)
        query = select(oldest.scalar_subquery(), gone.scalar_subquery())
        return Kept(*db.session.execute(query).one())


def _last_place(
    stretch: _Stretch, entries_before: int, *where: ColumnElement[bool]
) -> Place | None:
    query = select(_ENTRY.c.admitted_at, _ENTRY.c.id).where(*stretch.entries(), *where)
    query = _in_order(query, stretch.way).offset(entries_before).limit(1)
    found = db.session.execute(query).first()
    return Place(*found) if found else None


def _ids(selection: CallSelection, stretch: _Stretch, count: int) -> CompoundSelect[Any]:
    """The request ids of the first calls, one more than asked for."""
    parts = (part.limit(count + 1).subquery() for part in _parts(selection, stretch))
    # SQLite takes no limit on a part of a union, but takes a part that has one inside.
    return union_all(*(select(part.c.request_id) for part in parts))


def _parts(selection: CallSelection, stretch: _Stretch) -> tuple[Select[Any], Select[Any]]:
    """The request ids of the calls of one entry, and of those of several, each in order."""
    in_one = select(_ENTRY.c.request_id).where(
        *stretch.entries(),
        _ENTRY.c.entry_no == 1,
        _ENTRY.c.kind == CALL,
        _ENTRY.c.request_id.not_in(stretch.later()),
        *_matches(_ENTRY, selection),
    )
    corrected = _corrected(stretch)
    in_several = (
        select(corrected.c.request_id)
        .where(*_matches(corrected, selection))
        .order_by(*_order(corrected.c.admitted_at, corrected.c.id, stretch.way))
    )
    return _in_order(in_one, stretch.way), in_several


def _corrected(stretch: _Stretch) -> Subquery:
    """The calls of several entries as if they were of one."""
    sums = (
        select(
            _ENTRY.c.request_id,
            func.min(_ENTRY.c.id).label("id"),
            func.max(_ENTRY.c.entry_no).label("last_no"),
            func.sum(_ENTRY.c.cost_nano_usd).label("cost_nano_usd"),
            func.sum(_ENTRY.c.latency_ms).label("latency_ms"),
        )
        .where(_ENTRY.c.request_id.in_(stretch.later()), _ENTRY.c.kind == CALL)
        .group_by(_ENTRY.c.request_id)
        .subquery()
    )
    last = _ENTRY.alias()
    is_last = (last.c.request_id == sums.c.request_id) & (last.c.entry_no == sums.c.last_no)
    return (
        select(
            *(sums.c.request_id, sums.c.id, sums.c.cost_nano_usd, sums.c.latency_ms),
            *(last.c[name] for name in _OF_LAST_ENTRY),
        )
        .join(last, is_last)
        .where(*stretch.places(last.c.admitted_at, sums.c.id))
        .subquery()
    )


def _values(place: Place) -> ColumnElement[tuple[object, ...]]:
    return tuple_(literal(place.at, Moment()), place.number)


def _in_order(query: Select[Any], way: Walk) -> Select[Any]:
    return query.order_by(*_order(_ENTRY.c.admitted_at, _ENTRY.c.id, way))


def _order(at: Any, number: Any, way: Walk) -> tuple[Any, Any]:
    return (at, number) if way.onward else (at.desc(), number.desc())


def _calls(entries: Sequence[Row]) -> list[tuple[Place, Row]]:
    """The entries of each call added up; they come one call after the other."""
    found = []
    for _, of_call in groupby(entries, key=itemgetter("request_id")):
        first, *others = of_call
        call = reduce(added, others, first)
        found.append(
            (Place(first["admitted_at"], first["id"]), call | {"ttft_ms": first["ttft_ms"]})
        )
    return found


def _matches(entry: Any, selection: CallSelection) -> list[ColumnElement[bool]]:
    """What is left of a selection when it is known whose the call is."""
    columns, wanted = entry.c, selection
    found: list[ColumnElement[bool]] = []
    for name, text in (
        ("key_id", wanted.whose.key_id),
        ("provider", wanted.provider),
        ("served_model", wanted.served),
    ):
        if text:
            found.append(columns[name] == text)
    if wanted.model:
        found.append(or_(columns.model_requested == wanted.model, columns.model == wanted.model))
    if wanted.outcome is not None:
        found.append(columns.outcome.in_(sorted(wanted.outcome.outcomes)))
    if wanted.min_cost is not None:
        found.append(columns.cost_nano_usd >= wanted.min_cost)
    if wanted.min_latency_ms is not None:
        found.append(columns.latency_ms >= wanted.min_latency_ms)
    if wanted.is_stream is not None:
        found.append(columns.stream.is_(wanted.is_stream))
    if wanted.is_unpriced:
        found.append(columns.price_status == "unpriced")
    return found
