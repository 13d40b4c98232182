"""The audit as it is looked at: page by page, or whole, bit by bit."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.audit_list import WHOLE_AUDIT, AuditLine, AuditPosition, AuditSelection
from ai_gateway.domain.clock import Clock
from ai_gateway.services.periods import AskedRange, Period, period_of
from ai_gateway.stores.audit_log import AuditLog

PAGE_SIZE = 50
BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What is asked of the audit: of all times where `asked` is None.

    A page begins `before` an entry, going back in time, or ends `after` one, coming forward.
    """

    selection: AuditSelection = WHOLE_AUDIT
    asked: AskedRange | None = None
    before: AuditPosition | None = None
    after: AuditPosition | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, newest first, and the positions from which its neighbours are asked for.

    `period` is what `asked` came to. Not `has_any`: nothing was ever recorded.
    """

    query: AuditQuery
    now: datetime
    zone: ZoneInfo
    period: Period | None
    lines: tuple[AuditLine, ...]
    newer: AuditPosition | None
    older: AuditPosition | None
    has_any: bool


class AuditReport:
    """Reads only."""

    def __init__(self, log: AuditLog, *, clock: Clock, zone: ZoneInfo) -> None:
        self._log = log
        self._clock = clock
        self._zone = zone

    def page(self, query: AuditQuery) -> AuditPage:
        period = self._period(query)
        selection = _within(query.selection, period)
        lines, has_newer, has_older = self._cut(query, selection)
        return AuditPage(
            query=query,
            now=self._clock(),
            zone=self._zone,
            period=period,
            lines=lines,
            newer=lines[0].position if has_newer else None,
            older=lines[-1].position if has_older else None,
            has_any=bool(lines) or self._log.has_any(),
        )

    def newest(self, query: AuditQuery, count: int) -> tuple[AuditLine, ...]:
        """The last entries of a query, those `before` a position if it has one."""
        selection = _within(query.selection, self._period(query))
        return self._log.older(selection, count, query.before)

    def all(self, query: AuditQuery) -> Iterator[tuple[AuditLine, ...]]:
        """Every entry of a query, newest first; no transaction is open between two batches."""
        selection, than = _within(query.selection, self._period(query)), None
        while lines := self._log.older(selection, BATCH_ROWS, than):
            yield lines
            than = lines[-1].position

    def _period(self, query: AuditQuery) -> Period | None:
        return None if query.asked is None else period_of(query.asked, self._clock(), self._zone)

    def _cut(
        self, query: AuditQuery, selection: AuditSelection
    ) -> tuple[tuple[AuditLine, ...], bool, bool]:
        """The entries of a page, and whether there are newer and older ones."""
        if query.after is not None:
            found = self._log.newer(selection, PAGE_SIZE + 1, query.after)
            # With none, whoever came from there asks for the newest.
            if found:
                return found[-PAGE_SIZE:], len(found) > PAGE_SIZE, True
        before = None if query.after is not None else query.before
        found = self._log.older(selection, PAGE_SIZE + 1, before)
        return found[:PAGE_SIZE], before is not None and bool(found), len(found) > PAGE_SIZE


def _within(selection: AuditSelection, period: Period | None) -> AuditSelection:
    if period is None:
        return selection
    return replace(selection, since=period.since, until=period.end)
