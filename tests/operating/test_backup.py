"""Backup and restore as docs/operating.md tells it, with either database."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ai_gateway.factory import create_app
from ai_gateway.stores.embedded import database_path
from simulator.testing import RunningSimulator, running_simulator
from tests.gateway_app import GatewayApp, _close, opened_app
from tests.postgresql import ACCOUNT, running_postgresql
from tests.redis_servers import RedisServer, running_redis
from tests.tools import program

SECRETS = ("SECRET_KEY", "AI_GATEWAY_KEY_PEPPER")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with running_simulator() as simulator:
        yield simulator


@dataclass(frozen=True, slots=True)
class Saved:
    """A gateway with two calls in its backup, and one more that was booked later."""

    gateway: GatewayApp
    key: str
    backup: Path
    exported: str


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def saved(
    request: pytest.FixtureRequest, server: RedisServer, simulator: RunningSimulator
) -> Iterator[Saved]:
    with tempfile.TemporaryDirectory(prefix="backup-") as name, databases(request.param) as url:
        backup = Path(name) / "gateway.backup"
        with opened_app(server, simulator, {"DATABASE_URL": url}) as gateway:
            key = gateway.make_key()
            settled(gateway, key, 2)
            if url:
                pg("pg_dump", url, "--format=custom", f"--file={backup}")
            else:
                assert gateway.flask("backup", str(backup)).exit_code == 0
            exported = gateway.flask("ledger", "export", "--format", "csv").stdout
            settled(gateway, key, 1)
            yield Saved(gateway, key, backup, exported)


@contextmanager
def databases(kind: str) -> Iterator[str]:
    """The URL of a new database; empty for the embedded one."""
    if kind == "sqlite":
        yield ""
    else:
        with running_postgresql() as url:
            yield url


@contextmanager
def restored(saved: Saved) -> Iterator[GatewayApp]:
    """Another host with the backup and the secrets, before the same Redis."""
    url = saved.gateway.environment["DATABASE_URL"]
    folder = Path(tempfile.mkdtemp(prefix="agw"))
    environment = {**saved.gateway.environment, "AI_GATEWAY_DATA_DIR": str(folder)}
    if url:
        name = f"restored{os.urandom(4).hex()}"
        pg("createdb", url, name)
        environment["DATABASE_URL"] = url.replace("/postgres?", f"/{name}?")
        pg("pg_restore", environment["DATABASE_URL"], "--exit-on-error", str(saved.backup))
    else:
        shutil.copy(saved.backup, database_path(folder))
    app = create_app(environment)
    opened = GatewayApp(app, saved.gateway.store, folder, environment)
    # As the start of a gateway does: a backup may be of an older version.
    assert opened.flask("setup").stdout == ""
    yield opened
    _close(opened)
    shutil.rmtree(folder)


def pg(name: str, url: str, *arguments: str) -> None:
    """A program of PostgreSQL on the database of a URL."""
    path = program(name)
    assert path is not None
    database = re.sub(r"\+psycopg", "", url)
    target = ["-U", ACCOUNT, "-h", database.partition("host=")[2]]
    target += [] if name == "createdb" else ["-d", database]
    subprocess.run([path, *target, *arguments], check=True, timeout=60)


def settled(gateway: GatewayApp, key: str, calls: int) -> None:
    for _ in range(calls):
        assert gateway.call(key).status_code == 200
    with gateway.app.app_context():
        gateway.bookkeeper().book_all()


def verified(gateway: GatewayApp) -> tuple[int, str]:
    result = gateway.flask("ledger", "verify")
    return result.exit_code, result.output


def test_the_copy_is_for_its_owner_alone(saved: Saved) -> None:
    if not saved.gateway.environment["DATABASE_URL"]:
        assert stat.S_IMODE(saved.backup.stat().st_mode) == 0o600
        again = saved.gateway.flask("backup", str(saved.backup))
        assert (again.exit_code, "is there already" in again.stderr) == (1, True)
    else:
        refused = saved.gateway.flask("backup", "somewhere")
        assert (refused.exit_code, "use pg_dump" in refused.stderr) == (1, True)


def test_a_new_host_without_redis_has_all_of_the_backup(saved: Saved) -> None:
    saved.gateway.store.client.flushall()
    with restored(saved) as gateway:
        assert gateway.call(saved.key).status_code == 503
        gateway.open()
        assert gateway.flask("ledger", "export", "--format", "csv").stdout == saved.exported
        assert verified(gateway)[0] == 0
        settled(gateway, saved.key, 1)
        assert verified(gateway)[0] == 0


def test_an_older_backup_beside_a_newer_redis_is_noticed(saved: Saved) -> None:
    """The ledger lacks what was booked after the backup; the counters still have it."""
    saved.gateway.store.client.flushall()
    saved.gateway.open()
    with restored(saved) as gateway:
        settled(gateway, saved.key, 1)
        code, said = verified(gateway)
        assert code == 1
        assert len(re.findall(r"(?m)^user:\d+:\S+: counter .* USD above$", said)) == 2
        assert "The ledger lacks what was counted: an older copy of it" in said
        assert gateway.flask("ledger", "rebuild").exit_code == 0
        assert verified(gateway)[0] == 0
        assert gateway.call(saved.key).status_code == 200
