"""What tasks there are, when each is due, and how its last run went: for pages and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ai_gateway.domain.clock import Clock
from ai_gateway.domain.tasks import TASKS, RunOutcome, Task, TaskState
from ai_gateway.stores.tasks import TaskTable

LATE = timedelta(hours=1)
"""A bookkeeper that lives begins a task within seconds."""


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task with what is known of it. A late one is due for long, and nobody does it."""

    task: Task
    state: TaskState
    is_late: bool


class TaskReport:
    """Reads only; raises `GatewayUnavailable`."""

    def __init__(self, table: TaskTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def rows(self) -> tuple[TaskRow, ...]:
        """Every task, in the order in which they are declared."""
        states, now = self._table.states(), self._clock()
        return tuple(_row(task, states.get(task.name, TaskState(task.name)), now) for task in TASKS)


def _row(task: Task, state: TaskState, now: datetime) -> TaskRow:
    is_due = state.due_at is not None and state.due_at < now - LATE
    return TaskRow(task, state, is_due and state.running_since is None)


class TaskFigures:
    """The same for `/metrics`."""

    def __init__(self, table: TaskTable) -> None:
        self._table = table

    def read(self, _now: datetime) -> Mapping[str, int | float]:
        figures: dict[str, int | float] = {}
        for name, state in self._table.states().items():
            figures |= _figures(name, state)
        return figures


def _figures(name: str, state: TaskState) -> Mapping[str, int | float]:
    moments = {"due": state.due_at, "last_run": state.last_run_at}
    figures: dict[str, int | float] = {
        f"task_{which}_timestamp_seconds|{name}": moment.timestamp()
        for which, moment in moments.items()
        if moment is not None
    }
    if state.last_took is not None:
        figures[f"task_last_run_duration_seconds|{name}"] = state.last_took.total_seconds()
    return figures | {
        f"task_runs_total|{name}|{RunOutcome.OK}": state.runs - state.failures,
        f"task_runs_total|{name}|{RunOutcome.FAILED}": state.failures,
    }
