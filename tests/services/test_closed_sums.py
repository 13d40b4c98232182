"""Sums of closed days are kept, never those of today, never past a change, never another user's."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.limits import Window, window_start
from ai_gateway.services.closed_sums import GRACE, KEPT, ClosedSums, SumsRead
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.tables import db
from ai_gateway.stores.usage_sums import Part, Step, UsageSumsStore
from tests.money import outbox_entry
from tests.seeding import NOW, UTC_ZONE
from tests.sql_database import counted_statements, opened, sqlite_url
from tests.web.staff_app import SetClock

ONE_HOUR, ONE_DAY = timedelta(hours=1), timedelta(days=1)
TODAY = NOW.replace(hour=0, minute=0, second=0)
WEEK = Part(Step.DAY, TODAY - 6 * ONE_DAY, None)
BEFORE = Part(Step.DAY, TODAY - 13 * ONE_DAY, TODAY - 6 * ONE_DAY)


class Office:
    """A ledger that is booked into, and one who looks at its sums."""

    def __init__(self, zone: ZoneInfo = UTC_ZONE) -> None:
        self.zone = zone
        self.clock = SetClock()
        self.sums = ClosedSums(UsageSumsStore(), clock=self.clock, zone=zone)
        self._ledger = Ledger(db.engine, zone)
        self._booked = 0

    def book(self, admitted_at: datetime, cost: int, user_id: int = 1) -> None:
        self._booked += 1
        entry = outbox_entry(self._booked, cost, admitted_at=admitted_at, user_id=user_id)
        self._ledger.book([entry], after=self._ledger.position(), now=self.clock())

    def read(self, *parts: Part, user_id: int | None = None) -> SumsRead:
        # As another request does.
        db.session.remove()
        return self.sums.series(*parts, user_id=user_id)

    def cost(self, *parts: Part, user_id: int | None = None) -> int:
        return cost_of(self.read(*parts, user_id=user_id))


def cost_of(read: SumsRead) -> int:
    return sum(row.sums.cost for row in read.rows)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with opened(sqlite_url(tmp_path)):
        yield Office()


def test_what_is_kept_is_not_read_again(office: Office) -> None:
    office.book(NOW - ONE_DAY, 5)
    office.book(NOW, 7)
    assert office.cost(WEEK) == 12
    office.clock.now += KEPT - timedelta(seconds=1)
    with counted_statements() as sent:
        read = office.read(WEEK)
    assert (cost_of(read), read.closed_at, len(sent)) == (12, NOW, 1)
    office.clock.now += timedelta(seconds=2)
    with counted_statements() as sent:
        read = office.read(WEEK)
    assert (cost_of(read), read.closed_at, len(sent)) == (12, office.clock.now, 2)


def test_today_is_always_read(office: Office) -> None:
    office.book(NOW - ONE_DAY, 5)
    office.book(NOW, 7)
    assert office.cost(WEEK) == 12
    office.book(NOW, 20)
    read = office.read(WEEK)
    assert cost_of(read) == 32
    assert read.closed_at == NOW


def test_a_late_booking_is_seen_at_once(office: Office) -> None:
    office.book(NOW - ONE_DAY, 5)
    assert office.cost(WEEK, BEFORE) == 5
    office.book(NOW - 8 * ONE_DAY, 100)
    read = office.read(WEEK, BEFORE)
    assert [(row.part, row.sums.cost) for row in read.rows] == [(0, 5), (1, 100)]


def test_a_day_is_not_over_for_an_hour_in_which_another_clock_may_still_be_in_it(
    office: Office,
) -> None:
    office.clock.now = TODAY + GRACE - timedelta(seconds=1)
    office.book(TODAY - ONE_HOUR, 5)
    assert office.cost(WEEK) == 5
    slow = TODAY - timedelta(seconds=1)
    office.clock.now, now = slow, office.clock.now
    # That bookkeeper sees nothing late in it.
    office.book(TODAY - ONE_HOUR, 6)
    office.clock.now = now
    assert office.cost(WEEK) == 11


def test_what_is_of_one_user_is_given_to_nobody_else(office: Office) -> None:
    for user_id, cost in ((1, 5), (2, 70)):
        office.book(NOW - ONE_DAY, cost, user_id)
    for _ in range(2):
        assert [office.cost(WEEK, user_id=user_id) for user_id in (1, 2, None)] == [5, 70, 75]


def test_a_span_of_closed_days_alone_takes_no_sum_when_it_is_known(office: Office) -> None:
    office.book(NOW - 8 * ONE_DAY, 5)
    assert office.cost(BEFORE) == 5
    with counted_statements() as sent:
        assert office.cost(BEFORE) == 5
    assert [sql for sql in sent if "sum(" in sql.lower()] == []


def test_a_span_of_today_alone_keeps_nothing(office: Office) -> None:
    office.book(NOW, 5)
    read = office.read(Part(Step.HOUR, TODAY, None))
    assert (cost_of(read), read.closed_at) == (5, None)


@pytest.mark.parametrize("name", ["Asia/Kolkata", "America/Los_Angeles"])
def test_rows_are_those_of_the_store_in_every_zone(tmp_path: Path, name: str) -> None:
    with opened(sqlite_url(tmp_path)):
        office = Office(ZoneInfo(name))
        for hours in range(0, 24 * 9, 8):
            office.book(NOW - hours * ONE_HOUR, hours + 1, user_id=1 + hours // 8 % 2)
        days = Part(Step.DAY, window_start(Window.DAY, NOW - 6 * ONE_DAY, office.zone), None)
        hours_of = Part(Step.HOUR, NOW.replace(minute=0, second=0) - 23 * ONE_HOUR, None)
        parts = (days, hours_of, Part(Step.DAY, days.since - 2 * ONE_DAY, days.since))
        plain = UsageSumsStore().series(*parts)
        for _ in range(2):
            assert office.read(*parts).rows == plain
        # Those of one user are of hours; of days only their sum is kept.
        hourly = UsageSumsStore().series(hours_of, user_id=1)
        assert office.read(hours_of, user_id=1).rows == hourly
        for part in parts:
            theirs = UsageSumsStore().series(part, user_id=1)
            assert office.cost(part, user_id=1) == sum(row.sums.cost for row in theirs)
        starts = {row.start for row in office.read(days, user_id=1).rows}
        assert len(starts) < len(UsageSumsStore().series(days, user_id=1))
