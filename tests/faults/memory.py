"""A limit of memory for running processes, by a control group; beyond it the kernel kills one."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup/memory")


def can_be_limited() -> bool:
    """Only with the first version of control groups: the second takes whole trees of them."""
    return os.access(_GROUPS / "cgroup.procs", os.W_OK)


@contextmanager
def limited_memory(processes: Iterable[int], *, more_bytes: int) -> Iterator[None]:
    """They may take so much together beyond what they have; their successors are free."""
    group = _GROUPS / f"ai-gateway-faults-{os.getpid()}"
    members = group / "cgroup.procs"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(more_bytes))
        for process in processes:
            members.write_text(str(process))
        yield
    finally:
        for survivor in members.read_text().split():
            # One that ends in this moment has left by itself.
            with suppress(ProcessLookupError):
                (_GROUPS / "cgroup.procs").write_text(survivor)
        group.rmdir()
