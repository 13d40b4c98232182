"""Tasks in SQL: who does which now, and how the last run ended.

A claim is a compare-and-set with an end: of several bookkeepers one gets it, and what one that was
killed had claimed is free again when the time of the claim is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Update, case, or_, select, update
from sqlalchemy.orm import Session

from ai_gateway.domain.tasks import FinishedRun, RunOutcome, TaskState
from ai_gateway.stores.sql import insert_into, transaction
from ai_gateway.stores.task_tables import TaskRow

MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """Who does a task, since when, and until when nobody else may."""

    by: str
    at: datetime
    until: datetime


class TaskTable:
    """Each method is one short transaction; raises `GatewayUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # A transaction that began by reading could not be upgraded under another writer.
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")

    def schedule(self, due: Mapping[str, datetime]) -> None:
        """Say when tasks are due for the first time; what is known already stays as it is."""
        rows = [
            {"name": name, "due_at": at, "last_detail": "", "runs": 0, "failures": 0}
            for name, at in due.items()
        ]
        with transaction(self._writing) as session:
            # Two bookkeepers may come here at once.
            session.execute(insert_into(self._engine, TaskRow).on_conflict_do_nothing(), rows)

    def due(self, now: datetime) -> list[str]:
        """The names of tasks that wait for somebody, the longest first."""
        query = select(TaskRow.name).where(TaskRow.due_at <= now, _is_free(now))
        with transaction(self._engine) as session:
            return list(session.scalars(query.order_by(TaskRow.due_at, TaskRow.name)))

    def claim(self, name: str, claim: Claim, *, due_by: datetime) -> bool:
        """Take a task that is due by then; False where somebody has it, or has done it.

        Where the claim before it ran out, that run is written down as lost.
        """
        is_lost = TaskRow.claimed_by.is_not(None)
        taken = (
            update(TaskRow)
            .where(TaskRow.name == name, TaskRow.due_at <= due_by, _is_free(claim.at))
            .values(
                claimed_by=claim.by,
                claimed_at=claim.at,
                claimed_until=claim.until,
                last_outcome=case((is_lost, RunOutcome.LOST), else_=TaskRow.last_outcome),
                last_run_at=case((is_lost, TaskRow.claimed_at), else_=TaskRow.last_run_at),
                last_took_ms=case((is_lost, None), else_=TaskRow.last_took_ms),
                last_detail=case((is_lost, ""), else_=TaskRow.last_detail),
                runs=TaskRow.runs + case((is_lost, 1), else_=0),
                failures=TaskRow.failures + case((is_lost, 1), else_=0),
            )
        )
        with transaction(self._writing) as session:
            return _is_done(session, taken)

    def keep(self, name: str, by: str, until: datetime) -> bool:
        """Let a claim last longer; False where somebody else has the task by now."""
        kept = update(TaskRow).where(TaskRow.name == name, TaskRow.claimed_by == by)
        with transaction(self._writing) as session:
            return _is_done(session, kept.values(claimed_until=until))

    def finish(self, name: str, by: str, run: FinishedRun) -> bool:
        """Write down how a run ended and let go; False where somebody else has the task by now."""
        is_run = run.outcome is not RunOutcome.STOPPED
        ended = (
            update(TaskRow)
            .where(TaskRow.name == name, TaskRow.claimed_by == by)
            .values(
                due_at=run.due_at,
                claimed_by=None,
                claimed_at=None,
                claimed_until=None,
                last_run_at=TaskRow.claimed_at,
                last_took_ms=run.took // timedelta(milliseconds=1),
                last_outcome=run.outcome,
                last_detail=run.detail[:MOST_CHARACTERS],
                runs=TaskRow.runs + int(is_run),
                failures=TaskRow.failures + int(run.outcome is RunOutcome.FAILED),
            )
        )
        with transaction(self._writing) as session:
            return _is_done(session, ended)

    def states(self) -> dict[str, TaskState]:
        """Every task that was ever due, by its name."""
        with transaction(self._engine) as session:
            return {row.name: _state(row) for row in session.scalars(select(TaskRow))}


def _is_done(session: Session, change: Update) -> bool:
    return bool(session.execute(change).rowcount)  # type: ignore[attr-defined]  # a CursorResult has it


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(TaskRow.claimed_by.is_(None), TaskRow.claimed_until <= now)


def _state(row: TaskRow) -> TaskState:
    took = row.last_took_ms
    return TaskState(
        name=row.name,
        due_at=row.due_at,
        running_since=row.claimed_at,
        last_run_at=row.last_run_at,
        last_took=None if took is None else timedelta(milliseconds=took),
        last_outcome=None if row.last_outcome is None else RunOutcome(row.last_outcome),
        last_detail=row.last_detail,
        runs=row.runs,
        failures=row.failures,
    )
