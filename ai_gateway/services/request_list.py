"""The calls and the refused requests of a period: page by page, counted on demand, or all of them.

Refused requests are a list of their own: they are in no sum and in no export of calls.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.money import Money
from ai_gateway.domain.request_list import (
    EVERY_CALL,
    EVERY_REFUSAL,
    CallSelection,
    Place,
    RefusalSelection,
    Span,
)
from ai_gateway.services.periods import AskedRange, Period, period_of
from ai_gateway.services.usage_report import UsageReports
from ai_gateway.stores.ledger_export import Row, export_row
from ai_gateway.stores.refusal_list import RefusalList, RefusedRequest
from ai_gateway.stores.request_rows import CallCount, Found, Kept, RequestRows, Walk

PAGE_SIZE = 50
BATCH_ROWS = 500
DEFAULT_RANGE = AskedRange()


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page: what comes `before` a place, going back in time, or right `after` one."""

    before: Place | None = None
    after: Place | None = None


FIRST_PAGE = Turn()


@dataclass(frozen=True, slots=True)
class CallQuery:
    """Which calls of which period, and which page of them."""

    selection: CallSelection = EVERY_CALL
    asked: AskedRange = DEFAULT_RANGE
    turn: Turn = FIRST_PAGE


@dataclass(frozen=True, slots=True)
class ListedCall:
    """One call: its entries added up, with the words of the last."""

    place: Place
    request_id: str
    user_id: int
    username: str | None
    key_id: str
    provider: str
    model: str
    served_model: str
    outcome: str
    confidence: str
    price_status: str
    input_tokens: int
    output_tokens: int
    cost: Money
    latency_ms: int
    ttft_ms: int | None
    stream: bool

    @property
    def admitted_at(self) -> datetime:
        return self.place.at


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some calls, newest first, and the places from which the neighbours are asked for.

    `looked_to` is how far back was looked where the page is not full and there may be more.
    """

    query: CallQuery
    now: datetime
    period: Period
    calls: tuple[ListedCall, ...]
    newer: Place | None
    older: Place | None
    looked_to: datetime | None
    kept: Kept
    count: CallCount | None


@dataclass(frozen=True, slots=True)
class RefusalQuery:
    """Which refused requests of which period, and which page of them."""

    selection: RefusalSelection = EVERY_REFUSAL
    asked: AskedRange = DEFAULT_RANGE
    turn: Turn = FIRST_PAGE


@dataclass(frozen=True, slots=True)
class RefusalPage:
    """Some refused requests, newest first; `numbers` counts all of the period by reason."""

    query: RefusalQuery
    now: datetime
    period: Period
    refusals: tuple[RefusedRequest, ...]
    newer: Place | None
    older: Place | None
    numbers: Mapping[str, int]


class RequestList:
    """Reads only."""

    def __init__(self, usage: UsageReports, *, clock: Clock, zone: ZoneInfo) -> None:
        self._usage = usage
        self._rows = RequestRows()
        self._refusals = RefusalList()
        self._clock = clock
        self._zone = zone

    def page(self, query: CallQuery, *, with_count: bool = False) -> CallPage:
        """One page; counting costs more, the more has to be looked through."""
        period = self._period(query.asked)
        found = self._walk(query, period)
        is_onward = query.turn.after is not None
        calls = found.calls[::-1] if is_onward else found.calls
        first, last = (calls[0][0], calls[-1][0]) if calls else (None, None)
        before, after, reached = query.turn.before, query.turn.after, found.reached
        is_short = reached is not None and len(calls) < PAGE_SIZE
        return CallPage(
            query=query,
            now=self._clock(),
            period=period,
            calls=tuple(_listed(place, row) for place, row in calls),
            newer=reached if is_onward else (before and (first or before)),
            older=(last or after) if is_onward else reached,
            looked_to=reached.at if is_short and reached is not None else None,
            kept=self._rows.kept(),
            count=self._count(query, period) if with_count else None,
        )

    def newest(self, query: CallQuery, count: int) -> tuple[tuple[ListedCall, ...], Place | None]:
        """The first calls of a query and where to go on; fewer than asked for may be no end."""
        way = Walk(_span(self._period(query.asked)), query.turn.before)
        found = self._rows.walk(query.selection, way, count)
        return tuple(_listed(place, row) for place, row in found.calls), found.reached

    def all(self, query: CallQuery) -> Iterator[list[Row]]:
        """Every call of a query, oldest first as in the export; nothing is open in between."""
        way = Walk(_span(self._period(query.asked)), onward=True)
        while True:
            found = self._rows.walk(query.selection, way, BATCH_ROWS)
            yield [export_row(row) for _, row in found.calls]
            if found.reached is None:
                return
            way = Walk(way.span, found.reached, onward=True)

    def refusals(self, query: RefusalQuery) -> RefusalPage:
        period = self._period(query.asked)
        span, turn = _span(period), query.turn
        is_onward = turn.after is not None
        found = self._refusals.walk(
            query.selection, span, PAGE_SIZE + 1, start=turn.after or turn.before, onward=is_onward
        )
        has_more = len(found) > PAGE_SIZE
        shown = found[-PAGE_SIZE:] if is_onward else found[:PAGE_SIZE]
        first, last = (shown[0].place, shown[-1].place) if shown else (None, None)
        is_first = turn == FIRST_PAGE or (is_onward and not has_more)
        return RefusalPage(
            query=query,
            now=self._clock(),
            period=period,
            refusals=shown,
            newer=None if is_first else first or turn.before,
            older=last if has_more or is_onward else None,
            numbers=self._refusals.numbers(span),
        )

    def newest_refusals(self, query: RefusalQuery, count: int) -> tuple[RefusedRequest, ...]:
        span = _span(self._period(query.asked))
        return self._refusals.walk(query.selection, span, count, start=query.turn.before)

    def _walk(self, query: CallQuery, period: Period) -> Found:
        turn = query.turn
        start = turn.after or turn.before
        way = Walk(_span(period), start, onward=turn.after is not None)
        return self._rows.walk(query.selection, way, PAGE_SIZE)

    def _count(self, query: CallQuery, period: Period) -> CallCount:
        selection = query.selection
        if selection.has_all and not selection.whose.name:
            # The sums know it without a look at the ledger.
            used = self._usage.usage(query.asked, selection.whose.user_id).current
            return CallCount(used.requests, is_exact=True)
        return self._rows.count(selection, _span(period))

    def _period(self, asked: AskedRange) -> Period:
        return period_of(asked, self._clock(), self._zone)


def _span(period: Period) -> Span:
    return Span(period.since, period.end)


def _listed(place: Place, row: Row) -> ListedCall:
    return ListedCall(
        place=place,
        request_id=row["request_id"],
        user_id=row["user_id"],
        username=row["username"],
        key_id=row["key_id"],
        provider=row["provider"],
        model=row["model"],
        served_model=row["served_model"],
        outcome=row["outcome"],
        confidence=row["confidence"],
        price_status=row["price_status"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost=Money(row["cost_nano_usd"]),
        latency_ms=row["latency_ms"],
        ttft_ms=row["ttft_ms"],
        stream=row["stream"],
    )
