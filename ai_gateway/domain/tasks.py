"""Tasks on a clock: which there are, when they are due, and how a run of one ended.

A task is done by one bookkeeper at its time. What any number of bookkeepers may do every few
seconds is a duty of theirs and no task.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

ONE_HOUR = timedelta(hours=1)
ONE_DAY = timedelta(days=1)


class TaskName(StrEnum):
    """Every task; the names are labels of metrics."""

    STAFF_SESSIONS = "staff_sessions"
    REFUSALS = "refusals"
    KEY_ORDERS = "key_orders"
    ALERT_DELIVERIES = "alert_deliveries"
    ALERTS = "alerts"
    COUNTERS = "counters"
    LEDGER_ARCHIVE = "ledger_archive"


class RunOutcome(StrEnum):
    """How the last run ended. `stopped` is gone on with by the next bookkeeper; `lost` is one
    whose bookkeeper was gone before it ended.
    """

    OK = "ok"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"


class TaskFailed(Exception):
    """A task cannot do its work; the message, in one line, is for staff and has no secret."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """At `minute` of every hour, or of one `hour` of each day in the reporting zone."""

    minute: int
    hour: int | None = None

    def __str__(self) -> str:
        if self.hour is None:
            return f"every hour at :{self.minute:02}"
        return f"every day at {self.hour:02}:{self.minute:02}"

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """The first time that is later than `moment`."""
        if self.hour is None:
            this_hour = moment.replace(minute=self.minute, second=0, microsecond=0)
            return this_hour if this_hour > moment else this_hour + ONE_HOUR
        day, at = moment.astimezone(zone).date(), time(self.hour, self.minute, tzinfo=zone)
        # Where a clock is put forward, a time that there is not is an hour later.
        while (found := datetime.combine(day, at)) <= moment:
            day += ONE_DAY
        return found.astimezone(moment.tzinfo)


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done, in words for staff, and when."""

    name: TaskName
    words: str
    schedule: Schedule


TASKS = (
    Task(TaskName.STAFF_SESSIONS, "Remove sessions of staff that have ended", Schedule(7)),
    Task(TaskName.REFUSALS, "Remove refused requests of long ago", Schedule(22)),
    Task(TaskName.KEY_ORDERS, "Remove orders of keys of long ago", Schedule(0, hour=3)),
    Task(TaskName.ALERT_DELIVERIES, "Remove the log of sent alerts", Schedule(5, hour=3)),
    Task(TaskName.ALERTS, "Remove alerts that are long over", Schedule(10, hour=3)),
    Task(TaskName.COUNTERS, "Remove counters of closed windows from Redis", Schedule(20, hour=3)),
    Task(TaskName.LEDGER_ARCHIVE, "Move old ledger entries into files", Schedule(40, hour=3)),
)


@dataclass(frozen=True, slots=True)
class TaskState:
    """What is known of a task; before the first bookkeeper has started it is due at no time.
    A run that goes on has begun at `running_since`.

    `failures` are those of the `runs` that ended `failed` or `lost`; what was stopped is no run.
    """

    name: str
    due_at: datetime | None = None
    running_since: datetime | None = None
    last_run_at: datetime | None = None
    last_took: timedelta | None = None
    last_outcome: RunOutcome | None = None
    last_detail: str = ""
    runs: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """How a run ended, what it did, and when the task is due again."""

    outcome: RunOutcome
    took: timedelta
    detail: str
    due_at: datetime
