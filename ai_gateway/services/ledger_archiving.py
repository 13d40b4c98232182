"""Moves ledger entries of long ago into files, day by day.

A file is written, read again and compared with the ledger, and noted in SQL; only then its entries
are removed. Killed at any point, nothing is lost and nothing is in two files: before the note the
file is written anew under the same name, after it only the removal goes on.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ai_gateway.domain.audit import Action, Actor, AuditEntry, Change, Target, TargetKind
from ai_gateway.domain.clock import Clock
from ai_gateway.domain.ledger_archive import Archive, EntryLine
from ai_gateway.domain.limits import INSTALLATION_ID, Window, window_end, window_start
from ai_gateway.domain.money import usd_text
from ai_gateway.domain.tasks import TaskFailed
from ai_gateway.services.audit import Audit
from ai_gateway.services.housekeeping import ROWS_AT_ONCE
from ai_gateway.stores.archive_files import ArchiveFiles, Draft, entry_ids
from ai_gateway.stores.ledger_archive import LedgerArchive

ENTRIES_IN_FILE = 100_000
READ_AT_ONCE = 500
"""Nobody waits for what is only read."""


@dataclass(frozen=True, slots=True)
class ArchiveRule:
    """Entries of the last `keep_days` whole days stay; without a number all do."""

    keep_days: int | None
    zone: ZoneInfo


class LedgerArchiving:
    """`entry_of` is the line of the audit for a file. What is begun is finished under any rule."""

    done = "Entries moved into files"

    def __init__(
        self,
        ledger: LedgerArchive,
        files: ArchiveFiles,
        *,
        rule: ArchiveRule,
        entry_of: Callable[[Archive], AuditEntry],
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._files = files
        self._rule = rule
        self._entry_of = entry_of
        self._clock = clock

    def plan(self) -> str:
        before = self._before()
        if before is None:
            return "Every entry stays: AI_GATEWAY_LEDGER_KEEP_DAYS is not set"
        old, zone = self._ledger.old(before), self._rule.zone
        if old.first is None or old.last is None:
            return "Entries to move: 0"
        first, last = (moment.astimezone(zone).date() for moment in (old.first, old.last))
        return f"Entries to move: {old.count:,}, of {first} to {last}, into {self._files.folder}"

    def steps(self) -> Generator[int, None, None]:
        for archive in self._ledger.unfinished():
            yield from self._remove(archive)
        before = self._before()
        if before is None:
            return
        self._files.clear()
        while (oldest := self._ledger.oldest(before)) is not None:
            archive = yield from self._write(oldest)
            yield from self._remove(archive)

    def _before(self) -> datetime | None:
        if self._rule.keep_days is None:
            return None
        kept = self._clock() - timedelta(days=self._rule.keep_days)
        return window_start(Window.DAY, kept, self._rule.zone)

    def _write(self, oldest: datetime) -> Generator[int, None, Archive]:
        """Write a file with entries of the day of `oldest`, as many as it holds."""
        zone = self._rule.zone
        since, until = window_start(Window.DAY, oldest, zone), window_end(Window.DAY, oldest, zone)
        with self._files.draft() as draft:
            last: EntryLine | None = None
            while draft.entries < ENTRIES_IN_FILE:
                lines = self._ledger.lines(since, until, after=last, most=READ_AT_ONCE)
                if not lines:
                    break
                draft.add(lines)
                last = lines[-1]
                yield 0
            draft.close()
            yield from self._verify(draft)
            archive = self._files.publish(draft, oldest.astimezone(zone).date())
        self._ledger.record(archive, self._clock(), self._entry_of(archive))
        return archive

    def _verify(self, draft: Draft) -> Iterator[int]:
        """Read a file again and compare it with the ledger, line by line."""
        found = 0
        for texts in self._files.lines(draft.path.name, READ_AT_ONCE):
            booked = self._ledger.lines_of(entry_ids(texts))
            if [line.text for line in booked] != texts:
                raise TaskFailed(f"{draft.path} is not what the ledger has; nothing was removed")
            found += len(texts)
            yield 0
        if found != draft.entries:
            raise TaskFailed(f"{draft.path} has {found} entries of {draft.entries}")

    def _remove(self, archive: Archive) -> Iterator[int]:
        self._files.check(archive)
        for texts in self._files.lines(archive.name, ROWS_AT_ONCE):
            yield self._ledger.remove(archive.name, entry_ids(texts))
        self._ledger.finish(archive.name, self._clock())


def audit_line(audit: Audit, actor: Actor) -> Callable[[Archive], AuditEntry]:
    """What the audit keeps of a file."""

    def entry_of(archive: Archive) -> AuditEntry:
        facts: dict[str, str | int | bool | None] = {
            "day": archive.day.isoformat(),
            "entries": archive.entries,
            "cost_usd": usd_text(archive.cost),
            "sha256": archive.sha256,
        }
        target = Target(TargetKind.INSTALLATION, str(INSTALLATION_ID), archive.name)
        return audit.entry(Action.LEDGER_ARCHIVE, actor, target, Change(after=facts))

    return entry_of
