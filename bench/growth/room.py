"""Whether a run fits: a long ledger that fills the disk would take others down with it."""

import shutil
import tempfile
from pathlib import Path

from bench.errors import BenchError

BYTES_OF_A_ROW = 2_600
"""PostgreSQL's rows, indexes and sums, and what sorting them takes meanwhile."""

BYTES_OF_A_USER = 1_600
"""In the memory of Redis, with what its allocator wastes."""

GIGA = 1e9


def check_disk(rows: int) -> None:
    """Raise `BenchError` where the temporary folder has no room for a ledger of so many rows."""
    folder = tempfile.gettempdir()
    needed, free = rows * BYTES_OF_A_ROW, shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"{rows:,} rows need {needed / GIGA:.0f} GB in {folder}, where {free / GIGA:.0f} GB "
            "are free: name another folder by TMPDIR, or fewer by --rows and --months"
        )


def check_memory(users: int) -> None:
    """Raise `BenchError` where the machine has no memory for the accounts of so many users."""
    needed, free = users * BYTES_OF_A_USER, _available()
    if free < needed:
        raise BenchError(
            f"the accounts of {users:,} users need {needed / GIGA:.1f} GB of memory, "
            f"{free / GIGA:.1f} GB are there: name fewer by --users"
        )


def _available() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise BenchError("the system does not tell how much memory there is")
