"""Reads what a Valkey wrote on its disk: every change it ever made, in order, script by script.

The server writes a change there before it answers, so that the file outlives `kill -9` and is the
one history that nobody can have seen otherwise.
"""

from collections.abc import Iterator
from pathlib import Path

Command = tuple[str, ...]
Step = tuple[Command, ...]
"""What became visible at one moment: all that one script wrote, or one plain command."""


def steps_of(data_dir: Path) -> list[Step]:
    """All steps since the server was new, by the files that its manifest names."""
    folder = data_dir / "valkey" / "appendonlydir"
    (manifest,) = folder.glob("*.manifest")
    rows = [line.split() for line in manifest.read_text().splitlines()]
    commands = [
        command
        for row in rows
        if row[-1] == "i"
        for command in _commands((folder / row[1]).read_bytes())
    ]
    return list(_grouped(commands))


def _grouped(commands: list[Command]) -> Iterator[Step]:
    waiting: list[Command] | None = None
    for command in commands:
        match command[0].upper():
            case "MULTI":
                waiting = []
            case "EXEC":
                yield tuple(waiting or ())
                waiting = None
            case "SELECT":
                continue
            case _ if waiting is None:
                yield (command,)
            case _:
                waiting.append(command)


def _commands(data: bytes) -> Iterator[Command]:
    """Commands as clients send them; one that broke off at the end of the file never happened."""
    position = 0
    while position < len(data):
        try:
            count, position = _number(data, position, b"*")
            words = []
            for _ in range(count):
                length, position = _number(data, position, b"$")
                words.append(data[position : position + length].decode())
                position += length + 2
        except ValueError:
            assert data.find(b"\r\nMULTI\r\n", position) == -1, "the file is damaged in its middle"
            return
        yield tuple(words)


def _number(data: bytes, position: int, mark: bytes) -> tuple[int, int]:
    end = data.index(b"\r\n", position)
    line = data[position:end]
    if line[:1] != mark:
        raise ValueError(line)
    return int(line[1:]), end + 2
