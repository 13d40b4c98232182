"""The bookkeeper's clock: what is due is done in short steps, and what goes wrong is told."""

import logging
import os
from collections.abc import Generator, Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import redis
from sqlalchemy import Engine

from ai_gateway.domain.tasks import (
    RunOutcome,
    Schedule,
    Task,
    TaskFailed,
    TaskName,
    TaskState,
)
from ai_gateway.errors import GatewayUnavailable
from ai_gateway.services.bookkeeping import Bookkeeper, BookkeeperStores
from ai_gateway.services.key_admin import KeyAdmin
from ai_gateway.services.task_clock import CLAIM, RETRY, TaskClock, TaskTaken
from ai_gateway.services.task_report import TaskFigures, TaskReport
from ai_gateway.stores.ledger import Ledger
from ai_gateway.stores.outbox import Outbox, PublishedState
from ai_gateway.stores.tasks import TaskTable
from ai_gateway.stores.virtual_keys import KeyCopies, KeyTable
from tests.engines import opened_engine
from tests.running import wait_for
from tests.services.workbench import NOW, ZONE, SetClock
from tests.sql_database import sqlite_url

FIRST = Task(TaskName.COUNTERS, "Count", Schedule(30))
SECOND = Task(TaskName.REFUSALS, "Refuse", Schedule(40))
HOUR = timedelta(hours=1)
DUE = NOW + timedelta(minutes=30)


class Steps:
    """A task of the given steps; one that is an error is raised."""

    done = "Things done"

    def __init__(self, *steps: int | Exception) -> None:
        self.given = steps
        self.did: list[int] = []
        self.is_closed = False

    def plan(self) -> str:
        return f"{len(self.given)} things would be done"

    def steps(self) -> Generator[int, None, None]:
        try:
            for step in self.given:
                if isinstance(step, Exception):
                    raise step
                self.did.append(step)
                yield step
        finally:
            self.is_closed = True


class Endless(Steps):
    """A task that has something to do for ever."""

    def steps(self) -> Generator[int, None, None]:
        while True:
            self.did.append(1)
            yield 1


class Host:
    """A bookkeeper's clock in its own process, at a time that all of them share."""

    def __init__(self, engine: Engine, clock: SetClock, *works: Steps) -> None:
        self.table = TaskTable(engine)
        made = dict(zip((FIRST, SECOND), works, strict=False))
        self.tasks = TaskClock(made, self.table, clock=clock, zone=ZONE)

    def turn(self) -> None:
        """One turn, however little time has passed since the last look."""
        self.tasks._look_at = 0.0
        self.tasks.turn()

    def state(self, task: Task = FIRST) -> TaskState:
        return self.table.states()[task.name]


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with opened_engine(sqlite_url(tmp_path)) as opened_one:
        yield opened_one


def test_a_task_is_done_when_it_is_due_and_not_before(engine: Engine, clock: SetClock) -> None:
    work = Steps(3, 4)
    host = Host(engine, clock, work)
    host.turn()
    assert work.did == []
    clock.now = DUE
    host.turn()
    state = host.state()
    assert (state.last_outcome, state.last_detail) == (RunOutcome.OK, "Things done: 7")
    assert (state.last_run_at, state.due_at) == (DUE, DUE + HOUR)
    host.turn()
    assert work.did == [3, 4]


def test_what_was_missed_while_nobody_was_there_is_done_once(
    engine: Engine, clock: SetClock
) -> None:
    work = Steps(1)
    Host(engine, clock, work).turn()
    clock.now = DUE + 48 * HOUR
    host = Host(engine, clock, work)
    host.turn()
    host.turn()
    assert work.did == [1]
    assert host.state().due_at == clock.now + HOUR


def test_a_long_task_leaves_the_bookkeeper_its_time(engine: Engine, clock: SetClock) -> None:
    work = Endless()
    host = Host(engine, clock, work)
    host.turn()
    clock.now = DUE
    host.turn()
    after_one = len(work.did)
    host.turn()
    assert 0 < after_one < len(work.did)
    assert host.state().running_since == DUE


def test_a_task_that_is_stopped_is_gone_on_with_at_once_by_another(
    engine: Engine, clock: SetClock
) -> None:
    host = Host(engine, clock, Endless())
    host.turn()
    clock.now = DUE
    host.turn()
    host.tasks.stop()
    state = host.state()
    assert (state.last_outcome, state.running_since, state.runs) == (RunOutcome.STOPPED, None, 0)
    other = Host(engine, clock, work := Steps(5))
    other.turn()
    assert work.did == [5]
    assert other.state().runs == 1


def test_what_a_killed_bookkeeper_had_is_taken_over_and_one_that_wakes_up_stops(
    engine: Engine, clock: SetClock
) -> None:
    frozen = Host(engine, clock, asleep := Endless())
    frozen.turn()
    clock.now = DUE
    frozen.turn()
    did = len(asleep.did)
    other = Host(engine, clock, work := Steps(5))
    other.turn()
    assert work.did == []
    clock.now = DUE + CLAIM
    other.turn()
    assert work.did == [5]
    frozen.turn()
    assert len(asleep.did) == did
    state = other.state()
    assert (state.last_outcome, state.runs, state.failures) == (RunOutcome.OK, 2, 1)


def test_a_claim_lasts_as_long_as_there_are_steps(engine: Engine, clock: SetClock) -> None:
    host, other = Host(engine, clock, Endless()), Host(engine, clock, work := Steps(5))
    host.turn()
    clock.now = DUE
    for _ in range(4):
        host.turn()
        other.turn()
        clock.now += CLAIM / 2
    assert work.did == []


FAULTS = {
    "said": (TaskFailed("the folder is full"), "the folder is full"),
    "away": (GatewayUnavailable(), "a store is away: GatewayUnavailable"),
    "broken": (ZeroDivisionError("secret"), "a fault: ZeroDivisionError"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
def test_a_task_that_fails_says_why_and_is_tried_again_and_others_go_on(
    engine: Engine,
    clock: SetClock,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    said: str,
) -> None:
    host = Host(engine, clock, Steps(2, fault), other := Steps(1))
    host.turn()
    clock.now = DUE + timedelta(minutes=10)
    with caplog.at_level(logging.INFO):
        host.turn()
        host.turn()
    state = host.state()
    assert (state.last_outcome, state.last_detail) == (RunOutcome.FAILED, said)
    assert (state.due_at, state.runs, state.failures) == (clock.now + RETRY, 1, 1)
    assert other.did == [1]
    ended = [record for record in caplog.records if record.getMessage() == "task_ended"]
    assert [record.levelno for record in ended] == [logging.ERROR, logging.INFO]


def test_a_command_does_a_task_that_is_not_due(engine: Engine, clock: SetClock) -> None:
    host = Host(engine, clock, work := Steps(3, 0, 4))
    assert host.tasks.plan(FIRST.name) == "3 things would be done"
    assert work.did == []
    ended = host.tasks.run(FIRST.name)
    assert (ended.outcome, ended.detail) == (RunOutcome.OK, "Things done: 7")
    assert host.state().last_detail == "Things done: 7"


def test_a_command_does_nothing_while_a_bookkeeper_does_it(engine: Engine, clock: SetClock) -> None:
    host = Host(engine, clock, Endless())
    host.turn()
    clock.now = DUE
    host.turn()
    command = Host(engine, clock, work := Steps(1))
    with pytest.raises(TaskTaken):
        command.tasks.run(FIRST.name)
    assert work.did == []


def test_a_command_that_is_interrupted_lets_go(engine: Engine, clock: SetClock) -> None:
    class Interrupted(Steps):
        def steps(self) -> Generator[int, None, None]:
            yield 1
            raise KeyboardInterrupt

    host = Host(engine, clock, Interrupted())
    with pytest.raises(KeyboardInterrupt):
        host.tasks.run(FIRST.name)
    assert host.state().last_outcome is RunOutcome.STOPPED
    assert host.state().running_since is None


def test_what_a_newer_version_left_is_left_alone(engine: Engine, clock: SetClock) -> None:
    host = Host(engine, clock, Steps())
    host.table.schedule({"of_tomorrow": NOW})
    host.turn()
    assert host.state(Task("of_tomorrow", "", Schedule(0))).running_since is None  # type: ignore[arg-type]


def test_the_report_tells_who_is_late_and_knows_nothing_before_the_start(
    engine: Engine, clock: SetClock
) -> None:
    report = TaskReport(TaskTable(engine), clock)
    rows = {row.task.name: row for row in report.rows()}
    assert rows[FIRST.name].state == TaskState(FIRST.name)
    Host(engine, clock, Steps()).turn()
    clock.now = DUE + timedelta(minutes=59)
    assert not any(row.is_late for row in report.rows())
    clock.now = DUE + timedelta(minutes=61)
    assert [row.task.name for row in report.rows() if row.is_late] == [FIRST.name]


def test_figures_tell_the_last_run_of_each_task(engine: Engine, clock: SetClock) -> None:
    host = Host(engine, clock, Steps(1), Steps(TaskFailed("no")))
    host.tasks.run(FIRST.name)
    host.tasks.run(SECOND.name)
    figures = dict(TaskFigures(host.table).read(NOW))
    assert figures.pop("task_last_run_duration_seconds|counters") < 60
    assert figures.pop("task_last_run_duration_seconds|refusals") < 60
    assert figures == {
        "task_due_timestamp_seconds|counters": DUE.timestamp(),
        "task_due_timestamp_seconds|refusals": (NOW + RETRY).timestamp(),
        "task_last_run_timestamp_seconds|counters": NOW.timestamp(),
        "task_last_run_timestamp_seconds|refusals": NOW.timestamp(),
        "task_runs_total|counters|ok": 1,
        "task_runs_total|counters|failed": 0,
        "task_runs_total|refusals|ok": 0,
        "task_runs_total|refusals|failed": 1,
    }


def test_the_bookkeeper_does_tasks_beside_the_money_and_lets_go_when_it_stops(
    engine: Engine, clock: SetClock, redis_client: redis.Redis
) -> None:
    host = Host(engine, clock, work := Endless())
    host.table.schedule({FIRST.name: NOW})
    copies = KeyCopies(redis_client)
    keys = KeyAdmin(
        KeyTable(engine, {}), copies, pepper=b"pepper", clock=clock, random_bytes=os.urandom
    )
    stores = BookkeeperStores(
        Outbox(redis_client),
        PublishedState(redis_client),
        Ledger(engine, ZONE),
        tasks=host.tasks,
    )
    bookkeeper = Bookkeeper(stores, keys, clock=clock, zone=ZONE)
    thread = Thread(target=bookkeeper.run)
    thread.start()
    wait_for(lambda: work.did and bookkeeper.is_trusted(), "both are at work")
    bookkeeper.stop()
    thread.join()
    state = host.state()
    assert (state.last_outcome, state.running_since) == (RunOutcome.STOPPED, None)
