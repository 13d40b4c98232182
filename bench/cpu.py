"""CPU time and memory of processes, by the role that each has in a service."""

import ctypes
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
QUIET_SECONDS = 0.02
"""A server that takes no more CPU time than this in half a second has nothing left to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment."""

    pid: int
    parent: int
    command: str


def parse_parent(stat: str) -> int:
    """Give the parent from `/proc/<pid>/stat` (proc(5)).

    The name in the second field may itself hold spaces and brackets, so counting starts behind
    the last one: state is field 3, ppid 4.
    """
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def family(root: int) -> list[Process]:
    """Give `root` and all that descend from it; empty when it has ended."""
    everything = {process.pid: process for process in _processes()}
    found = [everything[root]] if root in everything else []
    for parent in found:  # grows while it is walked: breadth first
        found += [process for process in everything.values() if process.parent == parent.pid]
    return found


def gateway_role(process: Process, parent: Process | None) -> str:
    """Tell the gateway's processes apart by their commands and by who started whom."""
    if "valkey-server" in process.command or "redis-server" in process.command:
        return "valkey"
    if "bookkeeper" in process.command:
        return "bookkeeper"
    # gunicorn's master and its workers may have one command line; only workers come from it.
    if parent is not None and "gunicorn" in parent.command:
        return "worker"
    return "other"


def one_role(_process: Process, _parent: Process | None) -> str:
    return "other"


class Group:
    """The processes of one server, as they were when it was ready."""

    def __init__(
        self, root: int, role_of: Callable[[Process, Process | None], str] = one_role
    ) -> None:
        members = {process.pid: process for process in family(root)}
        self._roles = {
            process.pid: role_of(process, members.get(process.parent))
            for process in members.values()
        }

    def seconds(self) -> dict[str, float]:
        """CPU time so far, by role; raises `BenchError` when a process has ended meanwhile."""
        return self._by_role(cpu_seconds)

    def megabytes(self) -> dict[str, float]:
        """Memory now, by role: what each has for itself, and its part of what is shared (PSS)."""
        return self._by_role(_proportional_megabytes)

    def _by_role(self, read: Callable[[int], float]) -> dict[str, float]:
        total: defaultdict[str, float] = defaultdict(float)
        for pid, role in self._roles.items():
            try:
                total[role] += read(pid)
            except OSError as error:
                raise BenchError(f"a process of the server ended during the run: {role}") from error
        return dict(total)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, those that have ended included.

    The clock of clock_getcpuclockid(3) counts nanoseconds, while `/proc/<pid>/stat` counts 1/100 s,
    and `schedstat` forgets threads that have ended.
    """
    clock = ctypes.c_int()
    failed = ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock))
    if failed:
        raise OSError(failed, os.strerror(failed))
    return time.clock_gettime_ns(clock.value) / 1e9


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {role: value - before.get(role, 0.0) for role, value in after.items()}


def wait_until_quiet(read: Callable[[], float], *, limit_seconds: float = 15) -> None:
    """Wait until the CPU time that `read` gives no longer grows, but not longer than the limit."""
    deadline = time.monotonic() + limit_seconds
    last = read()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = read()
        if now - last <= QUIET_SECONDS:
            return
        last = now


def busy_seconds(stat: str) -> float:
    """CPU time that all cores were at work since boot, from the text of `/proc/stat`."""
    user, nice, system = (int(field) for field in stat.split()[1:4])
    return (user + nice + system) / TICKS_PER_SECOND


class OtherWork:
    """How much of the machine was taken by others, between its making and `share`."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._others = self._others_seconds()

    def share(self) -> float:
        """Part of all cores' time, 0 to 1; right only when all our children have ended."""
        cores = os.cpu_count() or 1
        elapsed = time.monotonic() - self._started
        return max(0.0, (self._others_seconds() - self._others) / (elapsed * cores))

    @staticmethod
    def _others_seconds() -> float:
        ours = sum(os.times()[:4])  # with that of the children that have been waited for
        return busy_seconds((PROC / "stat").read_text(encoding="utf-8")) - ours


def _proportional_megabytes(pid: int) -> float:
    rollup = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
    (line,) = (line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


def _processes() -> Iterable[Process]:
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent = parse_parent((folder / "stat").read_text(encoding="utf-8"))
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        yield Process(int(folder.name), parent, command)
