"""The ledger in SQL, exactly once, on each database that we serve."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, func, inspect, select, text
from sqlalchemy.orm import Session

from ai_gateway.domain.call import TALLY_FIELDS
from ai_gateway.domain.limits import Account, Scope, Window, accounts_of
from ai_gateway.domain.money import Money
from ai_gateway.domain.outbox import OutboxEntry, UnreadableEntry
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.stores.ledger import (
    AnotherBookkeeperWasFaster,
    Ledger,
    UnbookableBatch,
)
from ai_gateway.stores.outbox import FIRST_POSITION
from ai_gateway.stores.outbox_tables import OutboxPosition, SetAsideEntry
from ai_gateway.stores.rollup_tables import UsageHour
from ai_gateway.stores.rollups import local_hour
from ai_gateway.stores.tables import (
    AccountTotal,
    Base,
    LedgerEntry,
    TallyColumns,
)
from tests.engines import opened_engine
from tests.money import MOST, NO_TALLY, NOON, UTC_ZONE, key_record, outbox_entry

KOLKATA = ZoneInfo("Asia/Kolkata")
KEY_WORDS = ("provider", "model", "user_id")


class Books:
    """A ledger, what it wrote, and the position that it has reached."""

    def __init__(self, engine: Engine, zone: ZoneInfo = UTC_ZONE) -> None:
        self.engine = engine
        self.ledger = Ledger(engine, zone)

    def book(self, *batch: OutboxEntry | UnreadableEntry, after: str | None = None) -> int:
        position = self.ledger.position() if after is None else after
        return self.ledger.book(batch, after=position, now=NOON)

    def all(self, table: type[Base]) -> list[Any]:
        with Session(self.engine) as session:
            return list(session.scalars(select(table).order_by(*inspect(table).primary_key)))

    def totals(self) -> dict[str, int]:
        rows = self.all(AccountTotal)
        return {f"{r.scope}:{r.subject_id}:{r.window_id}": r.spent_nano_usd for r in rows}

    def aside(self) -> dict[str, str]:
        return {row.stream_id: row.reason for row in self.all(SetAsideEntry)}

    def sums(self, table: Any) -> dict[str, int]:
        names = ("cost_nano_usd", *TALLY_FIELDS)
        columns = [func.coalesce(func.sum(getattr(table, name)), 0) for name in names]
        with Session(self.engine) as session:
            return dict(zip(names, map(int, session.execute(select(*columns)).one()), strict=True))

    def state(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of the ledger's tables."""
        tables = (LedgerEntry, UsageHour, AccountTotal, OutboxPosition, SetAsideEntry)
        with Session(self.engine) as session:
            return {
                table.__tablename__: [
                    dict(row) for row in session.execute(select(table.__table__)).mappings()
                ]
                for table in tables
            }

    def assert_roll_ups_are_the_sum_of_the_entries(self) -> None:
        assert self.sums(UsageHour) == self.sums(LedgerEntry)
        expected: dict[str, int] = defaultdict(int)
        for row in self.all(LedgerEntry):
            record = key_record(user_id=row.user_id, subject_id=row.user_id)
            for account in accounts_of(record.subjects, row.admitted_at, UTC_ZONE):
                expected[account.name] += row.cost_nano_usd
        assert self.totals() == expected


@pytest.fixture
def books(engine: Engine) -> Books:
    return Books(engine)


class TestBooking:
    """One batch, one transaction."""

    def test_a_call_is_written_with_all_that_is_known(self, books: Books) -> None:
        assert books.book(outbox_entry(3, stream=True, ttft_ms=56, raw_usage='{"a":1}')) == 0
        [row] = books.all(LedgerEntry)
        assert (row.request_id, row.entry_no, row.kind, row.seq) == ("req_3", 1, "call", 3)
        assert (row.cost_nano_usd, row.total_after_nano_usd, row.held_nano_usd) == (40, 40, 100)
        assert (row.admitted_at, row.settled_at) == (NOON, NOON + timedelta(seconds=2))
        assert row.stream is True
        assert (row.ttft_ms, row.raw_usage) == (56, '{"a":1}')
        assert (row.input_tokens, row.output_tokens, row.requests) == (7, 5, 1)

    def test_the_position_moves_with_the_batch(self, books: Books) -> None:
        assert books.ledger.position() == FIRST_POSITION
        books.book(outbox_entry(1), outbox_entry(2))
        assert books.ledger.position() == "2-0"

    def test_roll_ups_are_the_sum_of_the_entries(self, books: Books) -> None:
        books.book(
            outbox_entry(1, 10), outbox_entry(2, 20, model="o3", user_id=2), outbox_entry(3, 30)
        )
        books.book(outbox_entry(4, 400, provider="anthropic", admitted_at=NOON - timedelta(days=3)))
        books.assert_roll_ups_are_the_sum_of_the_entries()
        assert books.totals()["installation:0:2026-11"] == 460
        assert books.totals()["user:1:2026-11-25"] == 40
        assert books.totals()["user:2:2026-11-25"] == 20
        assert books.totals()["user:1:2026-11-22"] == 400

    def test_amounts_stay_exact_up_to_the_highest_limit(self, books: Books) -> None:
        books.book(outbox_entry(1, MOST), outbox_entry(2, 1))
        assert books.totals()["installation:0:2026-11"] == MOST + 1
        assert books.ledger.total_cost() == MOST + 1

    def test_only_what_changes_a_day_that_is_over_is_counted_as_late(self, books: Books) -> None:
        midnight = NOON.replace(hour=0, minute=0, second=0, microsecond=0)
        late = outbox_entry(2, admitted_at=midnight - timedelta(microseconds=1))
        for batch, count in (
            ([outbox_entry(1, admitted_at=midnight)], 0),
            ([late, outbox_entry(3)], 1),
            ([outbox_entry(4)], 1),
        ):
            books.book(*batch)
            [position] = books.all(OutboxPosition)
            assert position.late_bookings == count

    def test_a_negative_difference_lowers_every_sum(self, books: Books) -> None:
        lower = outbox_entry(
            2, -15, request_id="req_1", entry_no=2, total=25,
            tally=NO_TALLY | {"failures": -1, "output_tokens": -5},
        )  # fmt: skip
        books.book(outbox_entry(1, 40, tally=NO_TALLY | {"requests": 1, "failures": 1}))
        books.book(lower)
        books.assert_roll_ups_are_the_sum_of_the_entries()
        assert books.ledger.total_cost() == 25
        assert books.sums(UsageHour)["failures"] == 0
        assert books.sums(UsageHour)["requests"] == 1

    def test_a_call_that_cost_nothing_is_booked_too(self, books: Books) -> None:
        books.book(outbox_entry(1, 0))
        assert len(books.all(LedgerEntry)) == 1
        assert books.totals()["user:1:2026-11-25"] == 0

    @pytest.mark.parametrize("size", [1, 500])
    def test_a_whole_batch_is_taken(self, books: Books, size: int) -> None:
        batch = [
            outbox_entry(number, number, user_id=number % 7, model=f"model-{number % 11}")
            for number in range(1, size + 1)
        ]
        books.book(*batch)
        assert len(books.all(LedgerEntry)) == size
        books.assert_roll_ups_are_the_sum_of_the_entries()

    def test_sum_by_user_is_sum_by_provider_is_sum_by_model(self, books: Books) -> None:
        books.book(
            *(
                outbox_entry(
                    number, number * 7, user_id=number % 3,
                    provider=("openai", "anthropic")[number % 2], model=f"m{number % 5}",
                )
                for number in range(1, 60)
            )
        )  # fmt: skip
        totals = {books.ledger.total_cost()}
        with Session(books.engine) as session:
            for name in KEY_WORDS:
                column = getattr(UsageHour, name)
                query = select(func.sum(UsageHour.cost_nano_usd)).group_by(column)
                totals.add(Money(sum(int(cost) for cost in session.scalars(query))))
        assert len(totals) == 1


class TestExactlyOnce:
    """Whatever is repeated, crashes or races."""

    def test_the_same_batch_from_the_same_position_is_written_once(self, books: Books) -> None:
        batch = [outbox_entry(1), outbox_entry(2)]
        books.book(*batch, after=books.ledger.position())
        before = books.state()
        with pytest.raises(AnotherBookkeeperWasFaster):
            books.book(*batch, after=FIRST_POSITION)
        assert books.state() == before

    def test_a_position_that_nobody_made_yet_moves_nothing(self, books: Books) -> None:
        with pytest.raises(AnotherBookkeeperWasFaster):
            books.book(outbox_entry(1), after=FIRST_POSITION)
        assert books.all(LedgerEntry) == []

    def test_what_was_booked_before_is_skipped_with_its_sums(self, books: Books) -> None:
        books.book(outbox_entry(1, 40), outbox_entry(2, 60))
        replayed = outbox_entry(3, 40, request_id="req_1")
        assert books.book(replayed, outbox_entry(4, 5)) == 0
        assert books.aside() == {}
        assert [row.request_id for row in books.all(LedgerEntry)] == ["req_1", "req_2", "req_4"]
        books.assert_roll_ups_are_the_sum_of_the_entries()
        assert books.ledger.position() == "4-0"

    def test_what_comes_twice_in_one_batch_is_written_once(self, books: Books) -> None:
        assert (
            books.book(
                outbox_entry(1, 40), outbox_entry(2, 40, request_id="req_1"), outbox_entry(3, 5)
            )
            == 0
        )
        assert books.aside() == {}
        assert books.ledger.total_cost() == 45
        books.assert_roll_ups_are_the_sum_of_the_entries()

    @pytest.mark.parametrize("in_one_batch", [True, False])
    def test_a_repeat_with_another_amount_is_set_aside(
        self, books: Books, *, in_one_batch: bool
    ) -> None:
        first, other = outbox_entry(1, 40), outbox_entry(2, 41, request_id="req_1")
        if in_one_batch:
            assert books.book(first, other, outbox_entry(3, 5)) == 1
        else:
            books.book(first)
            assert books.book(other, outbox_entry(3, 5)) == 1
        assert books.aside() == {"2-0": "entry req_1 1 is booked at 40"}
        assert books.ledger.total_cost() == 45
        books.assert_roll_ups_are_the_sum_of_the_entries()

    def test_entries_of_one_call_are_no_repeats(self, books: Books) -> None:
        second = outbox_entry(2, 5, request_id="req_1", entry_no=2, tally=NO_TALLY)
        books.book(outbox_entry(1, 40), second)
        assert len(books.all(LedgerEntry)) == 2
        assert books.aside() == {}

    def test_numbers_may_repeat_after_redis_went_back(self, books: Books) -> None:
        books.book(outbox_entry(1, 40, seq=7), outbox_entry(2, 60, seq=7))
        assert [row.seq for row in books.all(LedgerEntry)] == [7, 7]

    def test_bookkeepers_at_once_write_each_entry_once(self, books: Books) -> None:
        stream = [outbox_entry(number, number) for number in range(1, 201)]
        together = Barrier(3)
        threads = [Thread(target=_work, args=(books, stream, together)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert books.ledger.total_cost() == sum(range(1, 201))
        assert len(books.all(LedgerEntry)) == 200
        books.assert_roll_ups_are_the_sum_of_the_entries()

    def test_bookkeepers_that_start_at_once_agree_on_the_position(self, books: Books) -> None:
        together = Barrier(4)
        found: list[str] = []

        def start() -> None:
            together.wait()
            found.append(books.ledger.position())

        threads = [Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [FIRST_POSITION] * 4
        assert len(books.all(OutboxPosition)) == 1


def _work(books: Books, stream: Sequence[OutboxEntry], together: Barrier) -> None:
    """A bookkeeper that goes through the stream ten entries at a time."""
    together.wait()
    while True:
        position = books.ledger.position()
        done = int(position.split("-")[0])
        batch = stream[done : done + 10]
        if not batch:
            return
        try:
            books.ledger.book(batch, after=position, now=NOON)
        except AnotherBookkeeperWasFaster:
            continue


class TestSetAside:
    """What cannot be booked is kept, and nothing waits for it."""

    def test_an_unreadable_entry_is_kept_beside_the_others(self, books: Books) -> None:
        aside = UnreadableEntry("2-0", "KeyError: 'cost'", '{"kind": "call"}')
        assert books.book(outbox_entry(1), aside, outbox_entry(3)) == 1
        [row] = books.all(SetAsideEntry)
        assert (row.stream_id, row.reason, row.payload, row.created_at) == (
            "2-0", "KeyError: 'cost'", '{"kind": "call"}', NOON,
        )  # fmt: skip
        assert len(books.all(LedgerEntry)) == 2
        assert books.ledger.position() == "3-0"

    def test_a_batch_of_unreadable_entries_moves_on(self, books: Books) -> None:
        assert books.book(UnreadableEntry("1-0", "a", "b"), UnreadableEntry("2-0", "a", "b")) == 2
        assert books.ledger.position() == "2-0"

    def test_an_entry_that_is_set_aside_again_is_there_once(self, books: Books) -> None:
        books.book(UnreadableEntry("1-0", "a", "b"))
        books.book(UnreadableEntry("1-0", "c", "d"), after="1-0")
        assert books.aside() == {"1-0": "c"}

    BAD: tuple[dict[str, Any], ...] = (
        {"cost": Money(2**63)},
        {"total": Money(2**63)},
        {"user_id": 2**63},
        {"tally": NO_TALLY | {"input_tokens": 2**64}},
        {"settled_at": datetime(2026, 11, 25)},  # noqa: DTZ001 - a moment without a zone
        {"outcome": None},
        {"kind": None},
    )

    @pytest.mark.parametrize("bad", BAD, ids=str)
    def test_what_the_database_refuses_leaves_nothing_of_its_batch(
        self, books: Books, bad: dict[str, Any]
    ) -> None:
        books.book(outbox_entry(1))
        before = books.state()
        with pytest.raises(UnbookableBatch) as caught:
            books.book(outbox_entry(2), outbox_entry(3, **bad))
        assert caught.value.__cause__ is not None
        assert books.state() == before

    FAULTS: ClassVar[dict[str, str]] = {
        "a column that is not there yet": "ALTER TABLE ledger_entry DROP COLUMN raw_usage",
        "a table that is not there": "DROP TABLE usage_hour",
        "a table of set-aside entries that is not there": "DROP TABLE set_aside_entry",
    }

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_fault_of_the_database_is_no_fault_of_an_entry(
        self, books: Books, fault: str
    ) -> None:
        """Else a bookkeeper that runs before the migration would set the whole outbox aside."""
        books.book(outbox_entry(1))
        with books.engine.begin() as connection:
            connection.execute(text(self.FAULTS[fault]))
        with pytest.raises(GatewayUnavailable):
            books.book(outbox_entry(2), UnreadableEntry("3-0", "a", "b"))
        assert books.ledger.position() == "1-0"

    @pytest.mark.postgresql
    def test_a_database_that_only_reads_is_no_fault_of_an_entry(self, postgresql: Books) -> None:
        postgresql.book(outbox_entry(1))
        read_only = postgresql.engine.execution_options(postgresql_readonly=True)
        with pytest.raises(GatewayUnavailable):
            Ledger(read_only, UTC_ZONE).book([outbox_entry(2)], after="1-0", now=NOON)

    @pytest.mark.postgresql
    @pytest.mark.parametrize("bad", [{"model": "x" * 161}, {"raw_usage": "a\0b"}], ids=str)
    def test_what_only_postgresql_refuses_is_the_fault_of_the_entry(
        self, postgresql: Books, bad: dict[str, Any]
    ) -> None:
        with pytest.raises(UnbookableBatch):
            postgresql.book(outbox_entry(1, **bad))


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Iterator[Books]:
    with opened_engine(request.getfixturevalue("postgresql_url")) as engine:
        yield Books(engine)


class TestHours:
    """Pages sum by the hours of the reporting zone."""

    def test_an_hour_begins_where_the_local_clock_says(self, engine: Engine) -> None:
        books = Books(engine, KOLKATA)
        # 12:34 UTC is 18:04 in Kolkata; half an hour earlier it was 17:34 there.
        books.book(outbox_entry(1, 1), outbox_entry(2, 2, admitted_at=NOON - timedelta(minutes=30)))
        hours = {row.hour: row.cost_nano_usd for row in books.all(UsageHour)}
        assert hours == {
            datetime(2026, 11, 25, 12, 30, tzinfo=UTC): 1,
            datetime(2026, 11, 25, 11, 30, tzinfo=UTC): 2,
        }

    def test_an_hour_has_a_row_for_each_user_provider_and_model(self, books: Books) -> None:
        books.book(
            outbox_entry(1),
            outbox_entry(2),
            outbox_entry(3, user_id=2),
            outbox_entry(4, provider="x"),
            outbox_entry(5, model="y"),
        )
        rows = books.all(UsageHour)
        assert sorted(row.requests for row in rows) == [1, 1, 1, 2]

    @pytest.mark.parametrize(
        ("zone", "moment", "hour"),
        [
            ("UTC", "2026-11-25T12:59:59.999999+00:00", "2026-11-25T12:00+00:00"),
            ("UTC", "2026-11-25T12:00:00+00:00", "2026-11-25T12:00+00:00"),
            ("Asia/Kathmandu", "2026-11-25T12:10:00+00:00", "2026-11-25T11:15+00:00"),
            ("Asia/Kathmandu", "2026-11-25T12:15:00+00:00", "2026-11-25T12:15+00:00"),
            # The clocks of Berlin go back at 01:00 UTC: two hours are called 02.
            ("Europe/Berlin", "2026-10-25T00:30:00+00:00", "2026-10-25T00:00+00:00"),
            ("Europe/Berlin", "2026-10-25T01:30:00+00:00", "2026-10-25T01:00+00:00"),
            # Those of Lord Howe go forward by half an hour, from 02:00 to 02:30.
            ("Australia/Lord_Howe", "2026-10-03T15:45:00+00:00", "2026-10-03T15:30+00:00"),
        ],
    )
    def test_hours_of_odd_clocks(self, zone: str, moment: str, hour: str) -> None:
        found = local_hour(datetime.fromisoformat(moment), ZoneInfo(zone))
        assert found == datetime.fromisoformat(hour)
        assert found.tzinfo is UTC

    def test_cost_since_counts_from_the_start_of_the_window(self, engine: Engine) -> None:
        books = Books(engine, KOLKATA)
        # Midnight in Kolkata is 18:30 UTC of the day before.
        midnight = datetime(2026, 11, 24, 18, 30, tzinfo=UTC)
        month = datetime(2026, 10, 31, 18, 30, tzinfo=UTC)
        books.book(
            outbox_entry(1, 1, admitted_at=midnight),
            outbox_entry(2, 10, admitted_at=midnight - timedelta(seconds=1)),
            outbox_entry(3, 100, admitted_at=month),
            outbox_entry(4, 1000, admitted_at=month - timedelta(seconds=1)),
        )
        assert books.ledger.cost_since(Window.DAY, NOON) == 1
        assert books.ledger.cost_since(Window.MONTH, NOON) == 111

    def test_an_empty_ledger_cost_nothing(self, books: Books) -> None:
        assert books.ledger.cost_since(Window.DAY, NOON) == 0
        assert books.ledger.total_cost() == 0
        assert list(books.ledger.totals.spent(["2026-11"])) == []

    def test_adjustments_are_no_cost_of_calls(self, books: Books) -> None:
        books.book(outbox_entry(1, 40), outbox_entry(2, -40, kind="adjustment", tally=NO_TALLY))
        assert books.ledger.total_cost() == 40
        assert books.totals()["user:1:2026-11-25"] == 0


class TestTotals:
    """What the counters in Redis have to be."""

    def test_only_of_the_windows_that_are_asked_for(self, books: Books) -> None:
        books.book(outbox_entry(1, 40), outbox_entry(2, 60, admitted_at=NOON - timedelta(days=1)))
        spent = dict(books.ledger.totals.spent(["2026-11-25", "2026-11"]))
        assert spent == {
            Account(Scope.INSTALLATION, 0, Window.MONTH, "2026-11"): 100,
            Account(Scope.USER, 1, Window.MONTH, "2026-11"): 100,
            Account(Scope.KEY, 1, Window.MONTH, "2026-11"): 100,
            Account(Scope.USER, 1, Window.DAY, "2026-11-25"): 40,
            Account(Scope.KEY, 1, Window.DAY, "2026-11-25"): 40,
        }


class TestRefusals:
    """Pages see whose last call was refused."""

    DAY = Account(Scope.USER, 1, Window.DAY, "2026-11-25")
    MONTH = Account(Scope.USER, 1, Window.MONTH, "2026-11")
    OTHER = Account(Scope.KEY, 9, Window.DAY, "2026-11-25")
    YESTERDAY = Account(Scope.USER, 1, Window.DAY, "2026-11-24")
    WINDOWS = ("2026-11-25", "2026-11")

    def marked(self, books: Books) -> set[str]:
        rows = books.all(AccountTotal)
        return {f"{r.scope}:{r.subject_id}:{r.window_id}" for r in rows if r.is_refused}

    def test_a_mark_comes_and_goes(self, books: Books) -> None:
        books.book(outbox_entry(1, 40))
        books.ledger.mark_refused([self.DAY, self.OTHER], self.WINDOWS)
        assert self.marked(books) == {"user:1:2026-11-25", "key:9:2026-11-25"}
        books.ledger.mark_refused([self.MONTH, self.OTHER], self.WINDOWS)
        assert self.marked(books) == {"user:1:2026-11", "key:9:2026-11-25"}
        books.ledger.mark_refused([], self.WINDOWS)
        assert self.marked(books) == set()

    def test_a_mark_changes_no_amount(self, books: Books) -> None:
        books.book(outbox_entry(1, 40))
        before = books.totals()
        books.ledger.mark_refused([self.DAY], self.WINDOWS)
        books.book(outbox_entry(2, 2))
        assert books.totals() == {name: spent + 2 for name, spent in before.items()}
        assert self.marked(books) == {"user:1:2026-11-25"}

    def test_whoever_never_spent_anything_is_marked_too(self, books: Books) -> None:
        books.ledger.mark_refused([self.DAY], self.WINDOWS)
        assert books.totals() == {"user:1:2026-11-25": 0}
        assert self.marked(books) == {"user:1:2026-11-25"}

    def test_windows_that_are_over_are_let_be(self, books: Books) -> None:
        books.ledger.mark_refused([self.YESTERDAY], ["2026-11-24"])
        books.ledger.mark_refused([], self.WINDOWS)
        assert self.marked(books) == {"user:1:2026-11-24"}
        books.ledger.mark_refused([self.YESTERDAY, self.DAY], self.WINDOWS)
        assert self.marked(books) == {"user:1:2026-11-24", "user:1:2026-11-25"}

    def test_a_mark_of_a_window_that_is_over_is_not_written_again(self, books: Books) -> None:
        books.ledger.mark_refused([self.YESTERDAY], self.WINDOWS)
        assert books.all(AccountTotal) == []


def test_columns_of_sums_are_the_fields_of_a_tally() -> None:
    for table in (LedgerEntry, UsageHour):
        columns = [name for name in table.__table__.columns.keys() if name in TALLY_FIELDS]  # noqa: SIM118
        assert sorted(columns) == sorted(TALLY_FIELDS)
    assert tuple(TallyColumns.__annotations__) == TALLY_FIELDS
