"""Signals as something to wait for, so that the supervisor needs neither threads nor polling."""

import select
import signal
import socket
from contextlib import suppress
from types import FrameType, TracebackType

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class StopRequested(Exception):
    """SIGTERM, SIGINT or SIGHUP came."""


class Signals:
    """While entered, signals interrupt nothing: they are what `wait` and `read` return for."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> "Signals":
        self._reader.settimeout(0)
        self._writer.settimeout(0)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (*STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, _do_nothing)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> None:
        """Wait for a child's end or the time; raises `StopRequested` where we shall stop."""
        if STOP_SIGNALS.intersection(self.read(seconds)):
            raise StopRequested

    def read(self, seconds: float | None) -> bytes:
        """Return the numbers of the signals that came, after at most `seconds`."""
        select.select([self._reader], [], [], seconds)
        with suppress(BlockingIOError):
            return self._reader.recv(4096)
        return b""


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """A handler has to exist for a signal to reach the wake-up descriptor."""
