"""The users or the keys with their limits, in pages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.limits import Account, Window
from ai_gateway.domain.numbered_pages import page_count
from ai_gateway.domain.spend_list import BudgetUse
from ai_gateway.errors import BudgetUnavailable
from ai_gateway.services.budget_view import BudgetView, BudgetWindows, budget_view
from ai_gateway.stores.limit_rows import (
    LimitedSubject,
    LimitRows,
    LimitSelection,
    LimitWindows,
)
from ai_gateway.stores.live_counters import LiveCounters
from ai_gateway.stores.meter import Counters

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class LimitRow:
    """One user or key with both budgets as they are shown."""

    of: LimitedSubject
    daily: BudgetView
    monthly: BudgetView


@dataclass(frozen=True, slots=True)
class LimitQuery:
    """What is asked of the list; a page past the end becomes the last one."""

    selection: LimitSelection
    page: int = 1


@dataclass(frozen=True, slots=True)
class LimitPage:
    """One page. `query` is the one that was answered; `own` have a limit of their own.

    Not `is_live`: the amounts are those of the database, since the counters cannot be read.
    """

    query: LimitQuery
    rows: tuple[LimitRow, ...]
    everyone: int
    own: int
    is_live: bool
    now: datetime
    zone: ZoneInfo

    @property
    def total(self) -> int:
        return self.own if self.query.selection.is_own_only else self.everyone

    @property
    def pages(self) -> int:
        return page_count(self.total, PAGE_ROWS)

    @property
    def first(self) -> int:
        return (self.query.page - 1) * PAGE_ROWS + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1 if self.rows else 0


class LimitList:
    """Reads pages; spend is that of the enforcement counters where they answer."""

    def __init__(
        self, rows: LimitRows, counters: LiveCounters, *, windows: BudgetWindows, clock: Clock
    ) -> None:
        self._rows = rows
        self._counters = counters
        self._windows = windows
        self._clock = clock

    def page(self, query: LimitQuery) -> LimitPage:
        """Raises `GatewayUnavailable`."""
        now, selection = self._clock(), query.selection
        everyone, own = self._rows.count(selection)
        pages = page_count(own if selection.is_own_only else everyone, PAGE_ROWS)
        query = replace(query, page=min(max(query.page, 1), pages))
        windows = LimitWindows(
            self._windows.open(selection.scope, Window.DAY, now),
            self._windows.open(selection.scope, Window.MONTH, now),
        )
        offset = (query.page - 1) * PAGE_ROWS
        found = self._rows.page(selection, windows, offset=offset, count=PAGE_ROWS)
        known, is_live = self._by_counters(found, windows)
        rows = (LimitRow(one, budget_view(one.daily), budget_view(one.monthly)) for one in known)
        return LimitPage(query, tuple(rows), everyone, own, is_live, now, self._windows.zone)

    def _by_counters(
        self, found: Sequence[LimitedSubject], windows: LimitWindows
    ) -> tuple[Sequence[LimitedSubject], bool]:
        pairs = [_accounts(one, windows) for one in found]
        try:
            counters = self._counters.read([account for pair in pairs for account in pair])
        except BudgetUnavailable:
            return found, False
        live = [
            replace(
                one,
                daily=_counted(one.daily, counters[day]),
                monthly=_counted(one.monthly, counters[month]),
            )
            for one, (day, month) in zip(found, pairs, strict=True)
        ]
        return live, True


def _accounts(one: LimitedSubject, windows: LimitWindows) -> tuple[Account, Account]:
    scope, number = one.subject.scope, one.subject.subject_id
    return (
        Account(scope, number, Window.DAY, windows.daily.window_id),
        Account(scope, number, Window.MONTH, windows.monthly.window_id),
    )


def _counted(use: BudgetUse, counters: Counters) -> BudgetUse:
    return replace(use, spent=counters.spent, is_refused=counters.is_refused)
