"""The list of virtual keys with what each has spent: in pages, one by one, and of one owner."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.key_list import (
    ALL_KEYS,
    KeyCounts,
    KeyCut,
    KeyEntry,
    KeySelection,
    KeySort,
    KeyWindows,
)
from ai_gateway.domain.limits import BudgetState, Scope, Window, window_end, worse
from ai_gateway.domain.numbered_pages import page_count
from ai_gateway.domain.virtual_key import is_key_id
from ai_gateway.errors import KeyNotFound
from ai_gateway.services.budget_view import BudgetView, BudgetWindows, budget_view
from ai_gateway.services.live_keys import LiveKeys
from ai_gateway.stores.key_rows import KeyRows

PAGE_SIZES = (25, 50, 100)
BATCH_ROWS = 200
MOST_OWN_KEYS = 500


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key; the state of its budgets is the worse of the two."""

    entry: KeyEntry
    daily: BudgetView
    monthly: BudgetView
    day_resets_at: datetime
    month_resets_at: datetime

    @property
    def budget_state(self) -> BudgetState:
        return worse(self.daily.state, self.monthly.state)


@dataclass(frozen=True, slots=True)
class KeyQuery:
    """What is asked of the list of keys; a page past the end becomes the last one."""

    selection: KeySelection = ALL_KEYS
    sort: KeySort = KeySort.CREATED
    is_descending: bool = True
    page: int = 1
    page_size: int = 50


@dataclass(frozen=True, slots=True)
class KeyPage:
    """One page of keys. `query` is the one that was answered, with a page that exists.

    Not `is_live`: the amounts are those of the database, since the counters cannot be read.
    """

    query: KeyQuery
    now: datetime
    zone: ZoneInfo
    rows: tuple[KeyRow, ...]
    counts: KeyCounts
    is_live: bool

    @property
    def total(self) -> int:
        return self.counts.of(self.query.selection.chosen)

    @property
    def pages(self) -> int:
        return page_count(self.total, self.query.page_size)

    @property
    def first(self) -> int:
        return (self.query.page - 1) * self.query.page_size + 1 if self.rows else 0

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1 if self.rows else 0


@dataclass(frozen=True, slots=True)
class SomeKeys:
    """Some rows of the list; `is_live` as of a page."""

    rows: tuple[KeyRow, ...]
    is_live: bool


class KeyList:
    """Reads keys; spend is that of the enforcement counters where they answer."""

    def __init__(
        self, rows: KeyRows, live: LiveKeys, *, windows: BudgetWindows, clock: Clock
    ) -> None:
        self._rows = rows
        self._live = live
        self._windows = windows
        self._clock = clock

    def page(self, query: KeyQuery) -> KeyPage:
        windows, selection = self._open(), query.selection
        counts = self._rows.count(windows, selection)
        pages = page_count(counts.of(selection.chosen), query.page_size)
        query = replace(query, page=min(max(query.page, 1), pages))
        cut = KeyCut(
            sort=query.sort,
            is_descending=query.is_descending,
            offset=(query.page - 1) * query.page_size,
            count=query.page_size,
        )
        some = self._some(self._rows.page(windows, cut, selection), windows)
        zone = self._windows.zone
        return KeyPage(query, windows.now, zone, some.rows, counts, some.is_live)

    def after(self, selection: KeySelection, *, number: int, count: int) -> SomeKeys:
        """The next keys behind a number, in the order in which they were made."""
        windows = self._open()
        found = self._rows.after(windows, selection, number=number, count=count)
        return self._some(found, windows)

    def all(self, selection: KeySelection = ALL_KEYS) -> Iterator[KeyRow]:
        """Every key of a selection; no transaction is open between two batches."""
        number = 0
        while rows := self.after(selection, number=number, count=BATCH_ROWS).rows:
            yield from rows
            number = rows[-1].entry.number

    def of_owner(self, owner_id: int, count: int = MOST_OWN_KEYS) -> SomeKeys:
        """The keys of one user, the newest first."""
        windows = self._open()
        return self._some(self._rows.newest(windows, owner_id, count), windows)

    def find(self, key_id: str, *, owner_id: int | None) -> KeyRow:
        """One key, of anybody where `owner_id` is None; raises `KeyNotFound`."""
        if not is_key_id(key_id):
            raise KeyNotFound(key_id)
        windows = self._open()
        return self._some((self._rows.find(windows, key_id, owner_id),), windows).rows[0]

    def _open(self) -> KeyWindows:
        now = self._clock()
        daily, monthly = (self._windows.open(Scope.KEY, window, now) for window in Window)
        return KeyWindows(now, daily, monthly)

    def _some(self, found: tuple[KeyEntry, ...], windows: KeyWindows) -> SomeKeys:
        entries, is_live = self._live.or_as_known(found, windows)
        ends = [window_end(window, windows.now, self._windows.zone) for window in Window]
        rows = (KeyRow(e, budget_view(e.daily), budget_view(e.monthly), *ends) for e in entries)
        return SomeKeys(tuple(rows), is_live)
