"""Old ledger entries on each database that we serve: into files, none lost and none twice."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import BOOKKEEPER, AuditEntry
from ai_gateway.domain.ledger_archive import Archive
from ai_gateway.domain.tasks import TaskFailed
from ai_gateway.services.audit import Audit
from ai_gateway.services.housekeeping import ROWS_AT_ONCE
from ai_gateway.services.ledger_archiving import ArchiveRule, LedgerArchiving, audit_line
from ai_gateway.stores.archive_files import ArchiveFiles
from ai_gateway.stores.audit import AuditTable
from ai_gateway.stores.ledger import Ledger, _entry_row
from ai_gateway.stores.ledger_archive import LedgerArchive
from ai_gateway.stores.rollup_tables import ModelDay, UsageHour
from ai_gateway.stores.tables import AccountTotal, AuditRow, Base, LedgerEntry
from ai_gateway.stores.task_tables import LedgerArchiveRow
from tests.engines import opened_engine
from tests.money import UTC_ZONE, outbox_entry
from tests.sql_database import sqlite_url

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)
KEEP_DAYS = 40
FIRST_KEPT = datetime(2026, 10, 16, tzinfo=UTC)
DAYS = {1: FIRST_KEPT - timedelta(days=9), 2: FIRST_KEPT - timedelta(seconds=1), 3: FIRST_KEPT}
"""Entries 1 and 2 are old, 3 is not."""


class Killed(BaseException):
    """The process ends here: nothing runs after it."""


class Office:
    """A ledger, and the folder that its old entries go to."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder
        self.ledger = Ledger(engine, UTC_ZONE)
        self.zone = UTC_ZONE

    def archiving(
        self, keep_days: int | None = KEEP_DAYS, store: LedgerArchive | None = None
    ) -> LedgerArchiving:
        return LedgerArchiving(
            store or LedgerArchive(self.engine),
            ArchiveFiles(self.folder),
            rule=ArchiveRule(keep_days, self.zone),
            entry_of=audit_line(Audit(AuditTable(self.engine), lambda: NOW), BOOKKEEPER),
            clock=lambda: NOW,
        )

    def book(self) -> None:
        """Three calls, of which the first has a correction, and a reset of long ago."""
        calls = [outbox_entry(n, 10 * n, admitted_at=at) for n, at in DAYS.items()]
        late = {
            "entry_no": 2,
            "request_id": "req_1",
            "admitted_at": DAYS[1],
            "raw_usage": '{"é":1}',
        }
        reset = {"kind": "adjustment", "request_id": "reset_1", "admitted_at": DAYS[1]}
        batch = [*calls, outbox_entry(4, -3, **late), outbox_entry(5, -7, **reset)]
        self.ledger.book(batch, after=self.ledger.position(), now=NOW)

    def add(self, number: int) -> None:
        """So many entries of one old day, in no sum."""
        made = (outbox_entry(1_000 + n, n, admitted_at=DAYS[1]) for n in range(number))
        with Session(self.engine) as session, session.begin():
            session.execute(insert(LedgerEntry), [_entry_row(entry) for entry in made])

    def rows(self, table: type[Base] = LedgerEntry) -> list[dict[str, Any]]:
        query = select(table.__table__).order_by(*table.__table__.primary_key)
        with Session(self.engine) as session:
            return [dict(row) for row in session.execute(query).mappings()]

    def names(self) -> list[str]:
        return [f"{row['request_id']} {row['entry_no']}" for row in self.rows()]

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.gz"))

    def moved(self) -> list[dict[str, Any]]:
        """Every line of every file."""
        found: list[dict[str, Any]] = []
        for path in self.files():
            with gzip.open(path, "rt", encoding="utf-8") as file:
                found += map(json.loads, file)
        return found

    def sums(self) -> list[list[dict[str, Any]]]:
        return [self.rows(table) for table in (AccountTotal, UsageHour, ModelDay)]


@pytest.fixture
def office(engine: Engine, tmp_path: Path) -> Office:
    return Office(engine, tmp_path / "archive")


@pytest.fixture
def sqlite_office(tmp_path: Path) -> Iterator[Office]:
    """For what has to do with files more than with SQL."""
    with opened_engine(sqlite_url(tmp_path)) as opened:
        yield Office(opened, tmp_path / "archive")


def test_old_calls_leave_for_files_and_no_sum_changes(office: Office) -> None:
    office.book()
    before = {row["id"]: row for row in office.rows()}
    sums, cost, seq = office.sums(), office.ledger.total_cost(), office.ledger.last_seq()
    assert sum(office.archiving().steps()) == 3
    assert office.names() == ["req_3 1", "reset_1 1"]
    moved = office.moved()
    assert [f"{row['request_id']} {row['entry_no']}" for row in moved] == [
        "req_1 1",
        "req_1 2",
        "req_2 1",
    ]
    for line in moved:
        row = before[line["id"]]
        for name in ("admitted_at", "settled_at"):
            assert datetime.fromisoformat(line.pop(name)) == row.pop(name)
        assert line == row
    assert office.sums() == sums
    assert (office.ledger.total_cost(), office.ledger.last_seq()) == (cost, seq)


def test_every_file_has_its_checksum_and_its_line_of_the_audit(sqlite_office: Office) -> None:
    sqlite_office.book()
    list(sqlite_office.archiving().steps())
    notes = sqlite_office.rows(LedgerArchiveRow)
    assert [note["day"] for note in notes] == ["2026-10-07", "2026-10-15"]
    assert [(note["entries"], note["cost_nano_usd"]) for note in notes] == [(2, 7), (1, 20)]
    for note, path in zip(notes, sqlite_office.files(), strict=True):
        assert path.name == note["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == note["sha256"]
        beside = path.with_name(f"{path.name}.sha256").read_text()
        assert beside == f"{note['sha256']}  {path.name}\n"
        assert (path.stat().st_mode & 0o777, note["size_bytes"]) == (0o400, path.stat().st_size)
        assert note["removed_at"] is not None
    lines = sqlite_office.rows(AuditRow)
    assert [line["target_name"] for line in lines] == [note["name"] for note in notes]
    assert (lines[0]["actor_name"], lines[0]["after"]["entries"]) == ("bookkeeper", 2)


def test_the_last_entry_of_all_may_go_and_the_sequence_is_still_known(office: Office) -> None:
    office.add(1)
    seq = office.ledger.last_seq()
    list(office.archiving().steps())
    assert (office.names(), office.ledger.last_seq()) == ([], seq)


def test_without_a_number_of_days_every_entry_stays(sqlite_office: Office) -> None:
    sqlite_office.book()
    before = sqlite_office.rows()
    archiving = sqlite_office.archiving(keep_days=None)
    assert archiving.plan() == "Every entry stays: AI_GATEWAY_LEDGER_KEEP_DAYS is not set"
    assert list(archiving.steps()) == []
    assert (sqlite_office.rows(), sqlite_office.folder.exists()) == (before, False)


def test_a_plan_tells_what_would_leave_and_changes_nothing(office: Office) -> None:
    assert office.archiving().plan() == "Entries to move: 0"
    office.book()
    before = office.rows()
    told = office.archiving().plan()
    assert told == f"Entries to move: 3, of 2026-10-07 to 2026-10-15, into {office.folder}"
    assert (office.rows(), office.folder.exists()) == (before, False)


def each_once(office: Office, before: Sequence[str]) -> None:
    """Every entry is in the ledger or in one file, and the notes say what was removed."""
    moved = [f"{row['request_id']} {row['entry_no']}" for row in office.moved()]
    assert Counter([*moved, *office.names()]) == Counter(before)
    notes = office.rows(LedgerArchiveRow)
    assert sum(note["removed_entries"] for note in notes) == len(moved)
    assert list(office.folder.glob("*.part")) == []


def test_killed_after_any_step_nothing_is_lost_or_in_two_files(office: Office) -> None:
    office.add(2 * ROWS_AT_ONCE + 1)
    office.book()
    before, cost = office.names(), office.ledger.total_cost()
    # Kept, since a generator that is let go of would tidy up, as one that was killed does not.
    killed: list[Generator[int, None, None]] = []
    for steps in (1, 3, 5, 7, 8, 2, 1):
        killed.append(office.archiving().steps())
        for _ in range(steps):
            next(killed[-1], None)
        assert office.ledger.total_cost() == cost
    list(office.archiving().steps())
    each_once(office, before)
    assert office.names() == ["req_3 1", "reset_1 1"]
    # Those that were killed had only been asleep: they find that their work is done.
    for asleep in killed:
        asleep.close()


class Dying(LedgerArchive):
    """A store whose process is killed just before, or just after, a file is noted."""

    def __init__(self, engine: Engine, *, is_noted: bool) -> None:
        super().__init__(engine)
        self._is_noted = is_noted

    def record(self, archive: Archive, at: datetime, entry: AuditEntry) -> None:
        if self._is_noted:
            super().record(archive, at, entry)
        raise Killed


@pytest.mark.parametrize("is_noted", [False, True], ids=["before", "after"])
def test_killed_between_the_file_and_the_removal_it_is_one_file(
    office: Office, *, is_noted: bool
) -> None:
    office.book()
    before = office.names()
    dying = Dying(office.engine, is_noted=is_noted)
    with pytest.raises(Killed):
        list(office.archiving(store=dying).steps())
    assert (len(office.files()), office.names()) == (1, before)
    written = office.files()[0].read_bytes()
    list(office.archiving().steps())
    assert (len(office.files()), office.files()[0].read_bytes()) == (2, written)
    each_once(office, before)


def test_what_is_noted_is_finished_when_all_is_to_stay_from_now_on(sqlite_office: Office) -> None:
    sqlite_office.book()
    with pytest.raises(Killed):
        list(sqlite_office.archiving(store=Dying(sqlite_office.engine, is_noted=True)).steps())
    assert sum(sqlite_office.archiving(keep_days=None).steps()) == 2
    assert sqlite_office.names() == ["req_2 1", "req_3 1", "reset_1 1"]


def spoil(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9] + b"\0" * 9)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [spoil, remove])
def test_nothing_is_removed_by_a_file_that_is_not_what_it_was(
    sqlite_office: Office, harm: Callable[[Path], None]
) -> None:
    sqlite_office.book()
    before = sqlite_office.names()
    with pytest.raises(Killed):
        list(sqlite_office.archiving(store=Dying(sqlite_office.engine, is_noted=True)).steps())
    (path,) = sqlite_office.files()
    harm(path)
    with pytest.raises(TaskFailed, match=path.name):
        list(sqlite_office.archiving().steps())
    assert sqlite_office.names() == before


def test_nothing_is_removed_where_the_file_differs_from_the_ledger(sqlite_office: Office) -> None:
    sqlite_office.add(3)
    steps = sqlite_office.archiving().steps()
    next(steps)
    with Session(sqlite_office.engine) as session, session.begin():
        session.execute(update(LedgerEntry).values(cost_nano_usd=99))
    with pytest.raises(TaskFailed, match="is not what the ledger has"):
        list(steps)
    assert len(sqlite_office.names()) == 3
    assert list(sqlite_office.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(sqlite_office: Office) -> None:
    sqlite_office.book()
    sqlite_office.folder.write_text("a file in its place")
    before = sqlite_office.names()
    with pytest.raises(TaskFailed, match=str(sqlite_office.folder)):
        list(sqlite_office.archiving().steps())
    assert sqlite_office.names() == before


def test_a_step_removes_no_more_than_a_writer_can_wait_for(sqlite_office: Office) -> None:
    sqlite_office.add(2 * ROWS_AT_ONCE + 1)
    removed = [number for number in sqlite_office.archiving().steps() if number]
    assert removed == [ROWS_AT_ONCE, ROWS_AT_ONCE, 1]


def test_a_day_is_that_of_the_reporting_zone(sqlite_office: Office) -> None:
    """What is late in the evening in UTC is of the next day in Kolkata, which is kept here."""
    sqlite_office.zone = ZoneInfo("Asia/Kolkata")
    sqlite_office.book()
    list(sqlite_office.archiving().steps())
    assert [note["day"] for note in sqlite_office.rows(LedgerArchiveRow)] == ["2026-10-07"]
    assert "req_2 1" in sqlite_office.names()
