"""CPU time of processes from `/proc`, by the role that each has in a service."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment. `ticks` is the user and system time of all its threads."""

    pid: int
    parent: int
    command: str
    ticks: int


def parse_stat(text: str) -> tuple[int, int]:
    """Give parent and ticks from `/proc/<pid>/stat` (proc(5)).

    The name in the second field may itself hold spaces and brackets, so counting starts behind
    the last one: state is field 3, ppid 4, utime 14, stime 15.
    """
    fields = text[text.rindex(")") + 2 :].split()
    return int(fields[1]), int(fields[11]) + int(fields[12])


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
        self._root = root
        members = {process.pid: process for process in family(root)}
        self._roles = {
            process.pid: role_of(process, members.get(process.parent))
            for process in members.values()
        }

    def seconds(self) -> dict[str, float]:
        """CPU time so far, by role; raises `BenchError` when a process has ended meanwhile."""
        ticks = {process.pid: process.ticks for process in family(self._root)}
        total: defaultdict[str, float] = defaultdict(float)
        for pid, role in self._roles.items():
            if pid not in ticks:
                raise BenchError(f"a process of the server ended during the run: {role}")
            total[role] += ticks[pid] / TICKS_PER_SECOND
        return dict(total)


def difference(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {role: seconds - before.get(role, 0.0) for role, seconds in after.items()}


def wait_until_quiet(read: Callable[[], float], *, limit_seconds: float = 15) -> None:
    """Wait until the CPU time that `read` gives no longer grows, but not longer than the limit."""
    deadline = time.monotonic() + limit_seconds
    last = read()
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = read()
        if now - last <= 2 / TICKS_PER_SECOND:
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


def _processes() -> Iterable[Process]:
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent, ticks = parse_stat((folder / "stat").read_text(encoding="utf-8"))
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        yield Process(int(folder.name), parent, command, ticks)
