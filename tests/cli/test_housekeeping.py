"""`flask housekeeping`: what an operator sees, what a dry run leaves alone, what is recorded."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ai_gateway.domain.audit import Action
from ai_gateway.domain.tasks import TASKS, TaskName
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.tables import AuditRow, LedgerEntry, db
from ai_gateway.stores.tasks import Claim, TaskTable
from tests.gateway_app import GatewayApp, opened_app
from tests.money import UTC_ZONE, outbox_entry
from tests.redis_servers import RedisServer, running_redis

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server: RedisServer) -> Iterator[GatewayApp]:
    with opened_app(server, variables={"AI_GATEWAY_LEDGER_KEEP_DAYS": "40"}) as opened:
        yield opened


@pytest.fixture
def archive(gateway: GatewayApp) -> Path:
    return Path(gateway.data_dir).resolve() / "ledger-archive"


def book(gateway: GatewayApp, number: int, admitted_at: datetime) -> None:
    with gateway.app.app_context():
        ledger = Ledger(db.engine, UTC_ZONE)
        entry = outbox_entry(number, admitted_at=admitted_at)
        ledger.book([entry], after=ledger.position(), now=datetime.now(UTC))


def entries(gateway: GatewayApp) -> int:
    with gateway.app.app_context(), Session(db.engine) as session:
        return int(session.scalar(select(func.count(LedgerEntry.id))) or 0)


def test_every_task_is_listed_with_its_last_run(gateway: GatewayApp) -> None:
    ran = gateway.flask("housekeeping", "run", "staff_sessions")
    assert (ran.exit_code, ran.stdout) == (0, "Sessions removed: 0\n")
    first, *others = gateway.flask("housekeeping", "list").stdout.splitlines()
    assert [line.partition(":")[0] for line in (first, *others)] == [task.name for task in TASKS]
    assert first.startswith("staff_sessions: every hour at :07; due 20")
    assert first.endswith(" s (Sessions removed: 0)")


def test_old_entries_leave_and_the_proof_and_the_rebuilding_hold(
    gateway: GatewayApp, archive: Path
) -> None:
    before = entries(gateway)
    old = datetime.now(UTC) - 50 * DAY
    book(gateway, 1, old)
    book(gateway, 2, datetime.now(UTC))
    assert gateway.flask("ledger", "rebuild").exit_code == 0
    told = gateway.flask("housekeeping", "run", "ledger_archive", "--dry-run")
    assert told.stdout == f"Entries to move: 1, of {old.date()} to {old.date()}, into {archive}\n"
    assert entries(gateway) == before + 2
    ran = gateway.flask("housekeeping", "run", "ledger_archive")
    assert (ran.exit_code, ran.stdout) == (0, "Entries moved into files: 1\n")
    assert entries(gateway) == before + 1
    assert list(archive.glob(f"ledger-{old.date()}-*.gz"))
    for proof in ("verify", "rebuild", "verify"):
        assert gateway.flask("ledger", proof).exit_code == 0
    with gateway.app.app_context(), Session(db.engine) as session:
        kept = select(AuditRow.action, AuditRow.actor_name).order_by(AuditRow.id.desc()).limit(2)
        assert [tuple(row) for row in session.execute(kept)] == [
            (Action.HOUSEKEEPING, "command line"),
            (Action.LEDGER_ARCHIVE, "command line"),
        ]


def test_a_task_that_a_bookkeeper_does_is_left_to_it(gateway: GatewayApp) -> None:
    now = datetime.now(UTC)
    with gateway.app.app_context():
        table = TaskTable(db.engine)
        table.schedule({TaskName.COUNTERS: now})
        claim = Claim("a bookkeeper", now, now + timedelta(minutes=2))
        assert table.claim(TaskName.COUNTERS, claim, due_by=now + DAY)
        busy = gateway.flask("housekeeping", "run", "counters")
    assert busy.exit_code == 1
    assert busy.stderr == "Error: a bookkeeper does counters just now\n"


def test_why_a_task_failed_is_told_in_one_line(gateway: GatewayApp, archive: Path) -> None:
    book(gateway, 3, datetime.now(UTC) - 60 * DAY)
    moved = archive.rename(archive.with_name("moved")) if archive.exists() else None
    archive.write_text("a file in its place")
    failed = gateway.flask("housekeeping", "run", "ledger_archive")
    archive.unlink()
    if moved:
        moved.rename(archive)
    assert failed.exit_code == 1
    [said] = [line for line in failed.stderr.splitlines() if line.startswith("Error")]
    assert said == f"Error: ledger_archive failed: {archive}: File exists"
    assert gateway.flask("housekeeping", "run", "ledger_archive").exit_code == 0
