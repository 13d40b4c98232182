"""The two databases of the rig, each with the faults that it can have."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import psycopg
from psycopg.rows import dict_row

from ai_gateway.stores import embedded
from tests.engines import another_writer
from tests.faults.line import Faults, opened_line
from tests.postgresql import ACCOUNT

SqlKind = Literal["sqlite", "postgresql"]


class Database(Protocol):
    """What scenarios ask of both."""

    @property
    def variables(self) -> dict[str, str]:
        """What tells the gateway of it."""

    def locked(self) -> Any:
        """A context manager: nobody can write the ledger."""


class Sqlite:
    """The file in the data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._path = embedded.database_path(data_dir)
        self.variables: dict[str, str] = {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        with another_writer(self._path):
            yield


class PostgreSQL:
    """A server that the gateway reaches by a socket which can be taken away or led over a line."""

    def __init__(self, url: str) -> None:
        self._server = Path(url.partition("host=")[2]) / ".s.PGSQL.5432"
        # psycopg refuses nothing here: libpq opens whatever stands under this name.
        self.folder = Path(tempfile.mkdtemp(prefix="fsql"))
        self._name = self.folder / ".s.PGSQL.5432"
        self._name.symlink_to(self._server)
        self.variables = {"DATABASE_URL": f"postgresql://{ACCOUNT}@/postgres?host={self.folder}"}

    def connect(self, *, autocommit: bool = True) -> "psycopg.Connection[dict[str, Any]]":
        """A session of the operator, past any line."""
        return psycopg.connect(
            f"postgresql://{ACCOUNT}@/postgres?host={self._server.parent}",
            autocommit=autocommit,
            row_factory=dict_row,
        )

    def rows(self, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        with self.connect() as connection:
            return list(connection.execute(query.replace("?", "%s").encode(), values))

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self.connect(autocommit=False) as connection:
            connection.execute("LOCK TABLE ledger_entry IN ACCESS EXCLUSIVE MODE")
            yield
            connection.rollback()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody reaches it, and open sessions are gone."""
        self._name.unlink()
        self._end_sessions()
        try:
            yield
        finally:
            self._name.symlink_to(self._server)

    @contextmanager
    def by_line(self, faults: Faults) -> Iterator[None]:
        """All sessions of the gateway begin anew, over a line."""
        path = self.folder / "line"
        with opened_line(path, self._server, faults):
            self._lead_to(path)
            try:
                yield
            finally:
                self._lead_to(self._server)

    @contextmanager
    def small_disk(self) -> Iterator[Path]:
        """The ledger moves onto a file system of eight megabytes, and back."""
        disk = Path(tempfile.mkdtemp(prefix="fdisk"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "faults", disk], check=True)
        try:
            space = disk / "space"
            space.mkdir(mode=0o700)
            for folder in (disk, space):
                shutil.chown(folder, ACCOUNT)
            with self.connect() as connection:
                connection.execute(f"CREATE TABLESPACE small LOCATION '{space}'".encode())
                connection.execute("ALTER TABLE ledger_entry SET TABLESPACE small")
            try:
                yield disk
            finally:
                with self.connect() as connection:
                    connection.execute("ALTER TABLE ledger_entry SET TABLESPACE pg_default")
                    connection.execute("DROP TABLESPACE small")
        finally:
            subprocess.run(["umount", disk], check=True)
            disk.rmdir()

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def _lead_to(self, path: Path) -> None:
        new = self.folder / "new"
        new.symlink_to(path)
        new.replace(self._name)
        self._end_sessions()

    def _end_sessions(self) -> None:
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
