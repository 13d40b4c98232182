"""When tasks are due."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ai_gateway.domain.tasks import TASKS, Schedule, TaskName

BERLIN = ZoneInfo("Europe/Berlin")
HOURLY, NIGHTLY = Schedule(7), Schedule(20, hour=3)


def utc(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day, ...


NEXT = {
    "later in this hour": (HOURLY, utc(2026, 11, 25, 12, 3), utc(2026, 11, 25, 12, 7)),
    "in the next hour": (HOURLY, utc(2026, 11, 25, 12, 8), utc(2026, 11, 25, 13, 7)),
    "not at the same moment again": (HOURLY, utc(2026, 11, 25, 12, 7), utc(2026, 11, 25, 13, 7)),
    "later today": (NIGHTLY, utc(2026, 11, 25, 1, 0), utc(2026, 11, 25, 2, 20)),
    "tomorrow": (NIGHTLY, utc(2026, 11, 25, 2, 20), utc(2026, 11, 26, 2, 20)),
    "in summer": (NIGHTLY, utc(2026, 7, 1, 12), utc(2026, 7, 2, 1, 20)),
    "on the day that the clock is put back": (NIGHTLY, utc(2026, 10, 25), utc(2026, 10, 25, 2, 20)),
}


@pytest.mark.parametrize(("schedule", "moment", "due"), NEXT.values(), ids=NEXT)
def test_next_time_is_that_of_the_reporting_zone(
    schedule: Schedule, moment: datetime, due: datetime
) -> None:
    assert schedule.next_after(moment, BERLIN) == due


def test_time_that_a_clock_leaves_out_or_has_twice_comes_once_a_day() -> None:
    """In spring there is no 02:30 there, and in autumn there are two."""
    half_past_two = Schedule(30, hour=2)
    for begin in (utc(2026, 3, 26), utc(2026, 10, 22)):
        due = [begin]
        while due[-1] < begin + timedelta(days=6):
            due.append(half_past_two.next_after(due[-1], BERLIN))
        days = [moment.astimezone(BERLIN).date() for moment in due[1:]]
        assert days == sorted(set(days))
        assert len(days) == 6 + 1


def test_every_task_is_declared_once_and_not_two_at_the_same_time() -> None:
    assert sorted(task.name for task in TASKS) == sorted(TaskName)
    assert len({task.schedule for task in TASKS}) == len(TASKS)
