"""A PostgreSQL server of its own for tests, on a socket in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tools import program

ACCOUNT = "postgres"
"""The server refuses to run as root, and Debian's package makes this account."""


@contextmanager
def running_postgresql() -> Iterator[str]:
    """Start a server and give its URL for SQLAlchemy."""
    # Not in pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    is_root = os.geteuid() == 0
    if is_root:
        shutil.chown(folder, ACCOUNT)
    user = ACCOUNT if is_root else None
    data = folder / "data"
    try:
        _run("initdb", "-D", str(data), "-A", "trust", "-U", ACCOUNT, "--no-sync", user=user)
        options = f"-k {folder} -c listen_addresses='' -F"
        _run("pg_ctl", "-D", str(data), "-w", "-o", options, "start", user=user)
        try:
            yield f"postgresql+psycopg://{ACCOUNT}@/postgres?host={folder}"
        finally:
            _run("pg_ctl", "-D", str(data), "-m", "immediate", "stop", user=user)
    finally:
        shutil.rmtree(folder)


def _run(name: str, *arguments: str, user: str | None) -> None:
    path = program(name)
    assert path is not None, name
    subprocess.run(
        [path, *arguments], user=user, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60
    )
