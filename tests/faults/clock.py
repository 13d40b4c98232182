"""A clock that can be turned while processes look at it; see `clock.c`."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")
COMPILER = shutil.which("cc")


class TurnedClock:
    """The time of day of whoever is started with its `variables`."""

    def __init__(self, folder: Path) -> None:
        assert COMPILER is not None
        library = folder / "clock.so"
        if not library.exists():
            options = ("-shared", "-fPIC", "-O2", "-Wall", "-Werror")
            subprocess.run([COMPILER, *options, "-o", library, _SOURCE], check=True)
        number = len(list(folder.glob("turned-*")))
        self._file = folder / f"turned-{number}"
        self._by = timedelta(0)
        self.turn(self._by)
        self.variables = {"LD_PRELOAD": str(library), "TURNED_CLOCK": str(self._file)}

    def turn(self, by: timedelta) -> None:
        """Let it be so far ahead, or behind, of the true time, from now on."""
        self._by = by
        # In place: it is mapped into the memory of those who look.
        with self._file.open("r+b" if self._file.exists() else "xb") as file:
            file.write(int(by.total_seconds()).to_bytes(8, "little", signed=True))

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by


@dataclass(frozen=True, slots=True)
class Clocks:
    """Of the two hosts of a rig."""

    redis: TurnedClock
    gateway: TurnedClock

    @classmethod
    def made(cls, folder: Path) -> "Clocks":
        return cls(TurnedClock(folder), TurnedClock(folder))

    def turn(self, by: timedelta) -> None:
        """Both at once, as the time itself does."""
        self.redis.turn(by)
        self.gateway.turn(by)
