"""Does tasks when they are due, a few short steps at a time, each in one bookkeeper alone.

The steps go between those of the bookkeeper's own loop, so that no task keeps the money waiting.
"""

import logging
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, sleep
from uuid import uuid4
from zoneinfo import ZoneInfo

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.tasks import FinishedRun, RunOutcome, Task, TaskFailed, TaskName
from ai_gateway.errors import GatewayError
from ai_gateway.services.housekeeping import Work
from ai_gateway.stores.tasks import Claim, TaskTable

logger = logging.getLogger(__name__)

CLAIM = timedelta(minutes=2)
"""A task whose bookkeeper was killed is free again after so long."""

KEEP_AFTER = CLAIM / 4
"""A claim is made to last longer when so much of it is over."""

RETRY = timedelta(minutes=10)
LOOK_SECONDS = 5.0
TURN_SECONDS = 0.1
YIELD_SECONDS = 0.01
"""A command lets others write between its steps; a bookkeeper does other things between turns."""


class TaskTaken(Exception):
    """Somebody does the task already."""


@dataclass(slots=True)
class _Run:
    """A task that is under way here; its claim counts from `kept_at` on."""

    task: Task
    work: Work
    claimed_by: str
    kept_at: datetime
    steps: Generator[int, None, None]
    began: float = field(default_factory=monotonic)
    done: int = 0

    @property
    def detail(self) -> str:
        return f"{self.work.done}: {self.done:,}"


class TaskClock:
    """The tasks of one bookkeeper, or of one command."""

    def __init__(
        self, works: Mapping[Task, Work], table: TaskTable, *, clock: Clock, zone: ZoneInfo
    ) -> None:
        self._works = {task.name: (task, work) for task, work in works.items()}
        self._table = table
        self._clock = clock
        self._zone = zone
        self._is_scheduled = False
        self._look_at = 0.0
        self._run: _Run | None = None

    def turn(self) -> None:
        """Go on with the task that is under way, or begin one that is due, for a moment.

        Raises `GatewayError` where it cannot be known what is due; what fails later is written
        down as the end of that run.
        """
        if self._run is None:
            self._run = self._begin_due()
        until = monotonic() + TURN_SECONDS
        while self._run is not None and monotonic() < until:
            if self._step(self._run) is not None:
                self._run = None

    def stop(self) -> None:
        """Let go of the task that is under way; another bookkeeper goes on with it at once."""
        run, self._run = self._run, None
        if run is not None:
            self._end(run, RunOutcome.STOPPED, run.detail)

    def run(self, name: TaskName) -> FinishedRun:
        """Do a task now, due or not; raises `TaskTaken`, and `GatewayError` before it begins."""
        self._schedule()
        run = self._claim(name, due_by=datetime.max.replace(tzinfo=self._clock().tzinfo))
        if run is None:
            raise TaskTaken(name)
        ended = None
        try:
            while (ended := self._step(run)) is None:
                sleep(YIELD_SECONDS)
        finally:
            if ended is None:
                self._end(run, RunOutcome.STOPPED, run.detail)
        return ended

    def plan(self, name: TaskName) -> str:
        """What a run would do now, in words; raises `GatewayError`."""
        return self._works[name][1].plan()

    def _begin_due(self) -> _Run | None:
        if monotonic() < self._look_at:
            return None
        self._look_at = monotonic() + LOOK_SECONDS
        self._schedule()
        now = self._clock()
        for name in self._table.due(now):
            # A newer version may have left tasks that this one does not know.
            if name in self._works and (run := self._claim(TaskName(name), due_by=now)):
                self._look_at = 0.0
                return run
        return None

    def _schedule(self) -> None:
        if self._is_scheduled:
            return
        now = self._clock()
        tasks = [task for task, _ in self._works.values()]
        self._table.schedule({t.name: t.schedule.next_after(now, self._zone) for t in tasks})
        self._is_scheduled = True

    def _claim(self, name: TaskName, *, due_by: datetime) -> _Run | None:
        task, work = self._works[name]
        claim = Claim(uuid4().hex, self._clock(), self._clock() + CLAIM)
        if not self._table.claim(name, claim, due_by=due_by):
            return None
        return _Run(task, work, claim.by, claim.at, work.steps())

    def _step(self, run: _Run) -> FinishedRun | None:
        """One step; tells how the run ended, if it did."""
        try:
            if not self._keep(run):
                # Frozen for long: what it would do now is done by somebody else.
                return self._end(run, RunOutcome.LOST, "another bookkeeper took it over")
            done = next(run.steps, None)
        except TaskFailed as error:
            return self._end(run, RunOutcome.FAILED, str(error))
        except GatewayError as error:
            cause = error.__cause__ or error
            return self._end(run, RunOutcome.FAILED, f"a store is away: {type(cause).__name__}")
        except Exception as error:
            # A fault in one task must not end the bookkeeper, which has the money to see to.
            logger.exception("task_broke", extra={"task": run.task.name})
            return self._end(run, RunOutcome.FAILED, f"a fault: {type(error).__name__}")
        if done is None:
            return self._end(run, RunOutcome.OK, run.detail)
        run.done += done
        return None

    def _keep(self, run: _Run) -> bool:
        now = self._clock()
        if now < run.kept_at + KEEP_AFTER:
            return True
        run.kept_at = now
        return self._table.keep(run.task.name, run.claimed_by, now + CLAIM)

    def _end(self, run: _Run, outcome: RunOutcome, detail: str) -> FinishedRun:
        run.steps.close()
        took = timedelta(seconds=monotonic() - run.began)
        ended = FinishedRun(outcome, took, detail, self._due_after(run.task, outcome))
        level = logging.ERROR if outcome is RunOutcome.FAILED else logging.INFO
        facts = {"task": run.task.name, "outcome": outcome, "detail": detail}
        logger.log(level, "task_ended", extra=facts)
        if outcome is not RunOutcome.LOST:
            with suppress(GatewayError):
                # Not written down, it is done again when the claim is over, which harms nothing.
                self._table.finish(run.task.name, run.claimed_by, ended)
        return ended

    def _due_after(self, task: Task, outcome: RunOutcome) -> datetime:
        now = self._clock()
        if outcome is RunOutcome.STOPPED:
            return now
        regular = task.schedule.next_after(now, self._zone)
        return min(regular, now + RETRY) if outcome is RunOutcome.FAILED else regular
