"""The processes of a running gateway, found as an operator finds them: by parent and command."""

import os
import signal
from pathlib import Path

from tests.running import RunningGateway


def children(parent: int) -> dict[int, str]:
    """The living children of a process with their commands."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, owner = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(owner) == parent and state != "Z":
                found[int(folder.name)] = command
    return found


def child(gateway: RunningGateway, words: str) -> int:
    """The one child of the supervisor with these words in its command."""
    assert gateway._process is not None
    (number,) = (n for n, command in children(gateway._process.pid).items() if words in command)
    return number


def workers(gateway: RunningGateway) -> list[int]:
    return sorted(children(child(gateway, "gunicorn")))


def kill(process_id: int, number: int = signal.SIGKILL) -> None:
    os.kill(process_id, number)


def connections(process_id: int) -> int:
    """How many sockets a process has open."""
    links = [link.readlink() for link in Path(f"/proc/{process_id}/fd").iterdir()]
    return sum(str(link).startswith("socket:") for link in links)
