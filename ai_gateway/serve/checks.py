"""What is looked at before anything is started; each fault is one `StartError`."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_gateway.serve.signals import Signals
from ai_gateway.serve.words import StartError
from ai_gateway.settings import Settings
from ai_gateway.stores.embedded import ensure_secrets, prepare_folders

LEFTOVERS_END_WITHIN_SECONDS = 15.0
"""How long processes of a gateway that was killed may take to notice it."""


def refuse_missing_secrets(settings: Settings) -> None:
    """Secrets are made here only where both stores are: elsewhere other hosts need the same."""
    if settings.is_embedded:
        return
    needed = {"SECRET_KEY": settings.secret_key, "AI_GATEWAY_KEY_PEPPER": settings.key_pepper}
    for name, value in needed.items():
        if value is None:
            raise StartError(
                f"{name} is missing: with DATABASE_URL or REDIS_URL it has to be set, "
                "for instance to the output of: openssl rand -hex 32"
            )


@contextmanager
def hold_data_folder(settings: Settings, signals: Signals) -> Iterator[int]:
    """Make the data folder ours alone, with all that is needed in it; yields the lock.

    The children inherit the lock, so that a gateway that was killed counts as running until the
    last of them has ended: two Valkeys on one append-only file would ruin it silently.
    """
    prepare_folders(settings.data_dir)
    descriptor = _open_lock(settings.data_dir)
    try:
        _lock(descriptor, settings.data_dir, signals)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        if settings.is_embedded:
            ensure_secrets(settings.data_dir)
        yield descriptor
    finally:
        os.close(descriptor)


def refuse_taken_port(host: str, port: int) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"HOST={host} is not known: {error.strerror}") from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise StartError(
                f"port {port} of {host} cannot be used ({error.strerror}): "
                f"choose another, for instance PORT={port % 65535 + 1} python app.py"
            ) from error


def _open_lock(data_dir: Path) -> int:
    try:
        return os.open(data_dir / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"the data folder {data_dir} cannot be written ({error.strerror}): "
            "choose another with AI_GATEWAY_DATA_DIR"
        ) from error


def _lock(descriptor: int, data_dir: Path, signals: Signals) -> None:
    give_up_at = time.monotonic() + LEFTOVERS_END_WITHIN_SECONDS
    while not _try_lock(descriptor):
        owner = os.pread(descriptor, 20, 0).decode()
        if _is_running(owner):
            raise StartError(
                f"the data folder {data_dir} is in use by another gateway (process {owner}): "
                "stop that one, or choose another folder with AI_GATEWAY_DATA_DIR"
            )
        if time.monotonic() > give_up_at:
            raise StartError(
                f"the data folder {data_dir} is still held by processes of a gateway "
                f"that was killed (process {owner}): end them"
            )
        signals.wait(0.1)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running(owner: str) -> bool:
    """Whether the process runs whose number the file holds, which is empty for a moment."""
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
