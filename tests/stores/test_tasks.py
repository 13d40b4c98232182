"""Tasks on a clock on each database that we serve: done once, whoever else is there."""

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import Engine

from ai_gateway.domain.tasks import TASKS, FinishedRun, RunOutcome, Task, TaskName
from ai_gateway.services.task_clock import TaskClock
from ai_gateway.stores.tasks import Claim, TaskTable
from tests.money import UTC_ZONE

NOW = datetime(2026, 11, 25, 12, 10, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LEASE = timedelta(minutes=2)
NAME = TaskName.COUNTERS
DONE = FinishedRun(RunOutcome.OK, timedelta(milliseconds=1500), "7 removed", LATER)


@pytest.fixture
def table(engine: Engine) -> TaskTable:
    made = TaskTable(engine)
    made.schedule({NAME: NOW})
    return made


def claim(by: str = "one", at: datetime = NOW) -> Claim:
    return Claim(by, at, at + LEASE)


def at_once(number: int, act: Callable[[], object]) -> list[object]:
    """What so many threads get that begin together."""
    barrier, got = Barrier(number), list[object]()

    def run() -> None:
        barrier.wait()
        got.append(act())

    threads = [Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return got


def test_a_schedule_leaves_what_is_known_as_it_is(table: TaskTable) -> None:
    table.schedule({NAME: LATER, TaskName.REFUSALS: LATER})
    states = table.states()
    assert {name: state.due_at for name, state in states.items()} == {
        NAME: NOW,
        TaskName.REFUSALS: LATER,
    }
    assert states[NAME].last_outcome is None


def test_what_waits_longest_comes_first_and_what_is_not_due_does_not(table: TaskTable) -> None:
    table.schedule({TaskName.REFUSALS: NOW - LEASE, TaskName.KEY_ORDERS: LATER})
    assert table.due(NOW) == [TaskName.REFUSALS, NAME]
    table.claim(TaskName.REFUSALS, claim(), due_by=NOW)
    assert table.due(NOW) == [NAME]


def test_of_many_who_claim_at_once_one_gets_it(table: TaskTable) -> None:
    names = iter("abcdef")
    got = at_once(6, lambda: table.claim(NAME, claim(next(names)), due_by=NOW))
    assert sorted(map(bool, got)) == [False] * 5 + [True]


def test_what_was_done_is_not_claimed_by_one_who_saw_it_due_before(table: TaskTable) -> None:
    assert table.due(NOW) == [NAME]
    table.claim(NAME, claim("faster"), due_by=NOW)
    table.finish(NAME, "faster", DONE)
    assert not table.claim(NAME, claim("slower"), due_by=NOW)


def test_the_end_of_a_run_is_written_down(table: TaskTable) -> None:
    table.claim(NAME, claim(), due_by=NOW)
    assert table.states()[NAME].running_since == NOW
    assert table.finish(NAME, "one", DONE)
    state = table.states()[NAME]
    assert (state.last_run_at, state.last_took) == (NOW, DONE.took)
    assert (state.last_outcome, state.last_detail) == (RunOutcome.OK, "7 removed")
    assert (state.due_at, state.running_since) == (LATER, None)
    assert (state.runs, state.failures) == (1, 0)


def test_a_claim_that_ran_out_is_free_and_its_run_is_lost(table: TaskTable) -> None:
    table.claim(NAME, claim("killed"), due_by=NOW)
    assert not table.claim(NAME, claim("too early"), due_by=NOW)
    then = NOW + LEASE
    assert table.due(then) == [NAME]
    assert table.claim(NAME, claim("next", then), due_by=then)
    state = table.states()[NAME]
    assert (state.last_outcome, state.last_run_at) == (RunOutcome.LOST, NOW)
    assert (state.running_since, state.runs, state.failures) == (then, 1, 1)
    # It was only frozen, and wakes up.
    assert not table.keep(NAME, "killed", then + LEASE)
    assert not table.finish(NAME, "killed", DONE)
    assert table.finish(NAME, "next", DONE)


def test_a_claim_that_is_kept_lasts(table: TaskTable) -> None:
    table.claim(NAME, claim(), due_by=NOW)
    assert table.keep(NAME, "one", NOW + 2 * LEASE)
    assert table.due(NOW + LEASE) == []


class Counted:
    """A task that counts how often it was done, in two steps."""

    done = "done"

    def __init__(self) -> None:
        self.begun = self.ended = 0

    def plan(self) -> str:
        return "would be done"

    def steps(self) -> Generator[int, None, None]:
        self.begun += 1
        yield 1
        self.ended += 1
        yield 1


def test_of_bookkeepers_at_once_each_task_is_done_by_one(engine: Engine) -> None:
    works: dict[Task, Counted] = {task: Counted() for task in TASKS}
    table = TaskTable(engine)
    table.schedule({task.name: NOW for task in TASKS})

    def work() -> None:
        clock = TaskClock(works, TaskTable(engine), clock=lambda: NOW, zone=UTC_ZONE)
        # Looks at least once more than there are tasks, at those that others have too.
        for _ in range(len(TASKS) + 1):
            clock.turn()

    at_once(3, work)
    assert {(work.begun, work.ended) for work in works.values()} == {(1, 1)}
    assert {state.last_outcome for state in table.states().values()} == {RunOutcome.OK}
