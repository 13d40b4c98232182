"""What a call asks of the kernel, and how often of Redis: a worker seen by strace.

A call reaches from the reading of its request to that of the next one. Two things are left out:
how often a worker waits depends on who is quicker, and that on what else the machine does; how
often it asks for memory depends on what earlier calls have left.
"""

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.running import WAIT_SECONDS

BEGINS = re.compile(r'^\d+ +(?:recvfrom|read|recvmsg)\(\d+, .*?"POST /v1/')
SENDS_TO_REDIS = re.compile(r'^\d+ +(?:sendto|write|writev|sendmsg)\(\d+, .*?"\*\d+\\r\\n\$')
"""Redis's protocol begins a command with the number of its parts; nothing else of ours does."""

CALLED = re.compile(r"^\d+ +(\w+)\(")
WAITING = {
    *("epoll_wait", "epoll_pwait", "epoll_ctl", "fcntl", "futex"),
    *("getpid", "gettid", "restart_syscall"),
}
"""Before it waits, libev asks for the process, and whether a connection is still there."""

MEMORY = {"brk", "madvise", "mmap", "mremap", "munmap"}
NOTHING_THERE = "= -1 EAGAIN"
ATTACHED = "attached"


@dataclass(slots=True)
class SeenCall:
    """System calls by their names; `to_redis` of them sent something to Redis."""

    names: Counter[str] = field(default_factory=Counter)
    to_redis: int = 0


@contextmanager
def watched(process_id: int, log: Path) -> Iterator[None]:
    """Have strace write down all that a process asks of the kernel."""
    command = ["strace", "-f", "-s", "24", "-o", str(log), "-p", str(process_id)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        try:
            said = strace.stderr.readline()
            assert ATTACHED in said, said
            yield
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait(WAIT_SECONDS)


def calls_of(lines: Iterable[str]) -> list[SeenCall]:
    """Each call of which the whole was seen; the last one has no end."""
    seen: list[SeenCall] = []
    for line in lines:
        if BEGINS.match(line):
            seen.append(SeenCall())
        called = CALLED.match(line)
        if not seen or not called or called[1] in WAITING | MEMORY or NOTHING_THERE in line:
            continue
        seen[-1].names[called[1]] += 1
        seen[-1].to_redis += bool(SENDS_TO_REDIS.match(line))
    return seen[:-1]
