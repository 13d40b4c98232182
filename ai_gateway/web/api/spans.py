"""The span that a program asks for. Unlike a page, the API refuses what makes no sense."""

from datetime import date

from ai_gateway.errors import InvalidRequest
from ai_gateway.services.periods import MAX_CUSTOM_DAYS, AskedRange, Period, RangeName
from ai_gateway.web.api.fields import Absent, Answer, FirstDay, LastDay, Moment, Query, UserId
from ai_gateway.web.context import services


class RangeQuery(Query):
    """Which span."""

    range: RangeName = RangeName.DAYS_7
    """All end now; `custom` takes the days `from` and `to`, both inclusive, at most 366."""
    first: FirstDay = None
    last: LastDay = None


class SpanQuery(RangeQuery):
    """Which span, and of whom."""

    user_id: UserId | Absent = None
    """Of one user; without it staff get the whole installation, anybody else themselves."""


class Span(Answer):
    """From `since` to before `until`; days are those of the zone."""

    range: RangeName
    since: Moment
    until: Moment
    time_zone: str


def span_of(period: Period) -> Span:
    return Span(
        range=period.asked.name,
        since=period.since,
        until=period.until,
        time_zone=services().zone.key,
    )


def asked_range(query: RangeQuery) -> AskedRange:
    """Raises `InvalidRequest` for days that are missing, not wanted, or in the wrong order."""
    if query.range is not RangeName.CUSTOM:
        if query.first or query.last:
            raise InvalidRequest("from and to go with range=custom only.", "range")
        return AskedRange(query.range)
    if query.first is None or query.last is None:
        raise InvalidRequest("range=custom needs from and to, such as 2026-11-30.", "from")
    _check_order(query.first, query.last)
    return AskedRange(query.range, query.first, query.last)


def _check_order(first: date, last: date) -> None:
    if last < first:
        raise InvalidRequest("to is before from.", "to")
    if (last - first).days >= MAX_CUSTOM_DAYS:
        raise InvalidRequest(f"from and to span more than {MAX_CUSTOM_DAYS} days.", "to")
    if first > services().clock().astimezone(services().zone).date():
        raise InvalidRequest("from is in the future.", "from")
