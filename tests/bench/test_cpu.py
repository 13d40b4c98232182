"""CPU time and memory are read from the system and given to the right role."""

import os
import subprocess
import sys
import threading
import time

import pytest

from bench.cpu import (
    TICKS_PER_SECOND,
    Group,
    OtherWork,
    Process,
    busy_seconds,
    cpu_seconds,
    difference,
    family,
    gateway_role,
    parse_parent,
    wait_until_quiet,
)
from bench.errors import BenchError

MASTER = Process(13, 10, "gunicorn: master [app:app]")


@pytest.mark.parametrize("name", ["python", "a b", "x) S 9 (y", "()"])
def test_the_parent_is_read_whatever_the_name_of_the_process(name: str) -> None:
    assert parse_parent(f"7 ({name}) S 42 0 0 0 700 33") == 42


@pytest.mark.parametrize(
    ("command", "parent", "role"),
    [
        ("python app.py", None, "other"),
        ("/venv/bin/valkey-server unixsocket:x", Process(10, 1, "python app.py"), "valkey"),
        ("redis-server *:0", Process(10, 1, "python app.py"), "valkey"),
        ("python -m flask bookkeeper", Process(10, 1, "python app.py"), "bookkeeper"),
        (MASTER.command, Process(10, 1, "python app.py"), "other"),
        ("gunicorn: worker [app:app]", MASTER, "worker"),
        (MASTER.command, MASTER, "worker"),
    ],
)
def test_gateway_roles_are_told_apart(command: str, parent: Process | None, role: str) -> None:
    assert gateway_role(Process(20, 10, command), parent) == role


def test_seconds_of_a_group_are_by_role() -> None:
    group = Group(os.getpid())
    before = group.seconds()
    spin_until = time.process_time() + 0.002
    while time.process_time() < spin_until:
        pass
    assert difference(before, group.seconds())["other"] >= 0.002


def test_threads_that_have_ended_count_with_nanoseconds() -> None:
    before, own = cpu_seconds(os.getpid()), time.process_time_ns()
    thread = threading.Thread(target=sum, args=(range(10_000),))
    thread.start()
    thread.join()
    least, most = (time.process_time_ns() - own) / 1e9, cpu_seconds(os.getpid()) - before
    assert 0 < least <= most


def test_memory_of_a_group_is_by_role_and_grows_with_what_is_kept() -> None:
    group = Group(os.getpid())
    before = group.megabytes()["other"]
    # More than what an allocator keeps back for reuse.
    kept = b"x" * (1 << 26)
    assert group.megabytes()["other"] - before > len(kept) / (1 << 21)


def test_an_ended_process_ends_the_run() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        group = Group(child.pid)
        child.communicate(b"\n")
    with pytest.raises(BenchError, match="ended during the run"):
        group.seconds()


def test_difference_counts_a_role_that_came_later_in_full() -> None:
    assert difference({"worker": 1.0}, {"worker": 1.5, "valkey": 0.25}) == {
        "worker": 0.5,
        "valkey": 0.25,
    }


def test_family_has_the_process_and_its_descendants() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        pids = [process.pid for process in family(os.getpid())]
        child.communicate(b"\n")
    assert pids[0] == os.getpid()
    assert child.pid in pids


def test_family_of_an_ended_process_is_empty() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert family(child.pid) == []


def test_busy_time_leaves_out_idle_and_waiting() -> None:
    stat = "cpu  100 20 30 999999 8888 7 6 5 0 0\ncpu0 1 1 1 1\n"
    assert busy_seconds(stat) == 150 / TICKS_PER_SECOND


def test_work_of_our_own_is_not_other_work() -> None:
    others = OtherWork()
    subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
    # What else runs here meanwhile is not known, so only the lower end can be held.
    assert others.share() >= 0


def test_waiting_ends_at_its_limit_while_cpu_time_grows() -> None:
    readings = iter(range(1000))
    wait_until_quiet(lambda: float(next(readings)), limit_seconds=0)
    assert next(readings) == 1
