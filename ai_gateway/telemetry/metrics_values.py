"""The values of a worker's metrics: each is a number in a file of its slot, added to in place.

What was counted is in the file with the next step, so that no kill takes it back. The library's own
values do that too, under a lock and with a question for the process each time; a call adds to some
35 of them.
"""

import weakref
from pathlib import Path
from threading import Lock
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key

NUMBER_BYTES = 8


class SlotValues:
    """Makes the values of one slot; stands where the library has its class of values."""

    def __init__(self, folder: Path, slot: int) -> None:
        self._folder = folder
        self._slot = slot
        self._files: dict[str, _ValueFile] = {}
        self._lock = Lock()

    def __call__(self, kind: str, *series: Any, multiprocess_mode: str = "") -> "_Value":
        """`series` are its names, labels and help; only gauges have a mode."""
        name = f"{kind}_{multiprocess_mode}" if multiprocess_mode else kind
        with self._lock:
            if name not in self._files:
                self._files[name] = _ValueFile(self._folder / f"{name}_{self._slot}.db")
            return self._files[name].value(mmap_key(*series))


class _Value:
    """One number; scrapes read it from the file.

    It takes no lock: nothing in an addition calls or waits, and only there do greenlets switch, or
    threads of CPython. Its eight bytes are written at once, so that nobody reads half of them.
    """

    __slots__ = ("_numbers", "_place")

    def __init__(self, numbers: "memoryview[float]", place: int) -> None:
        self._numbers = numbers
        self._place = place

    def inc(self, amount: float) -> None:
        self._numbers[self._place] += amount

    def set(self, value: float) -> None:
        self._numbers[self._place] = value


class _ValueFile(MmapedDict):
    """The library's file, which its merger reads, and where in it each value is."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)  # type: ignore[no-untyped-call]
        self._numbers = self._mapped()
        # It is open as long as it may grow; values that were made need the mapping alone.
        weakref.finalize(self, self._f.close)

    def value(self, key: str) -> _Value:
        """The value of a series: as an earlier worker of the slot left it, else zero."""
        self.read_value(key)  # type: ignore[no-untyped-call]
        if self._numbers.obj is not self._m:
            # The file has grown. Values that were made before see it by the mapping that they have.
            self._numbers = self._mapped()
        return _Value(self._numbers, self._positions[key] // NUMBER_BYTES)

    def _mapped(self) -> "memoryview[float]":
        return memoryview(self._m).cast("d")
