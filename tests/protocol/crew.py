"""The processes of a run: started, killed, frozen, and replaced when they are gone."""

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from multiprocessing.process import BaseProcess
from random import Random
from threading import Thread
from time import monotonic
from typing import Any

from tests.protocol.bookkeeper import run_bookkeeper
from tests.protocol.lossy_line import run_lossy_line
from tests.protocol.site import Site
from tests.protocol.worker import run_worker

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.protocol.worker", "tests.protocol.bookkeeper"])
"""Whatever a process needs is imported once: a worker is there within milliseconds."""

END_SECONDS = 30.0


class Crew:
    """Workers and bookkeepers of one site."""

    def __init__(self, site: Site, random: Random) -> None:
        self._site = site
        self._random = random
        self._numbers = count(1)
        self._thaws: list[tuple[float, BaseProcess]] = []
        self.workers: dict[str, BaseProcess] = {}
        self.bookkeepers: dict[str, BaseProcess] = {}
        self.killed: set[str] = set()
        self.ended_badly: list[str] = []

    def look_after(self) -> None:
        """Replace who is gone, and let the frozen go on when it is time."""
        for name, worker in list(self.workers.items()):
            if not worker.is_alive():
                self._note_end(name, self.workers.pop(name))
        for name, bookkeeper in list(self.bookkeepers.items()):
            if not bookkeeper.is_alive():
                self._note_end(name, self.bookkeepers.pop(name))
        if monotonic() < self._site.ends_at:
            while len(self.workers) < self._site.plan.workers:
                self._start(self.workers, "w", run_worker)
        while len(self.bookkeepers) < self._site.plan.bookkeepers:
            self._start(self.bookkeepers, "b", run_bookkeeper)
        self._thaw(monotonic())

    def kill_worker(self) -> None:
        if self.workers:
            name = self._random.choice(sorted(self.workers))
            self.killed.add(name)
            self.workers[name].kill()
            self.workers[name].join(END_SECONDS)

    def kill_bookkeeper(self) -> None:
        if self.bookkeepers:
            self.bookkeepers[self._random.choice(sorted(self.bookkeepers))].kill()

    def freeze_worker(self) -> None:
        """Let a worker stand still, often for longer than its leases last."""
        if self.workers:
            worker = self.workers[self._random.choice(sorted(self.workers))]
            _send(worker, signal.SIGSTOP)
            self._thaws.append((monotonic() + self._random.uniform(0.1, 0.9), worker))

    def stop_bookkeepers(self) -> None:
        for name, bookkeeper in self.bookkeepers.items():
            bookkeeper.terminate()
            bookkeeper.join(END_SECONDS)
            self._note_end(name, bookkeeper)
        self.bookkeepers.clear()

    def end(self) -> None:
        """Whatever happened, leave no process behind."""
        for process in (*self.workers.values(), *self.bookkeepers.values()):
            process.kill()
            process.join(END_SECONDS)

    def _start(
        self, crew: dict[str, BaseProcess], letter: str, run: Callable[[Site, str], None]
    ) -> None:
        name = f"{letter}{next(self._numbers)}"
        crew[name] = start(run, self._site, name)

    def _thaw(self, now: float) -> None:
        for moment, worker in self._thaws:
            if moment <= now:
                _send(worker, signal.SIGCONT)
        self._thaws = [thaw for thaw in self._thaws if thaw[0] > now]

    def _note_end(self, name: str, process: BaseProcess) -> None:
        # Whoever was told to end before it had begun ends by the signal itself.
        if process.exitcode not in {0, -signal.SIGKILL, -signal.SIGTERM}:
            self.ended_badly.append(f"{name} ended with {process.exitcode}")


def shared_number(first: float) -> ctypes.c_double:
    """A number that every process of a run sees."""
    return FORKS.RawValue(ctypes.c_double, first)


def start(run: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Fork a process that ends with this one."""
    process = FORKS.Process(target=_run_for_parent, args=(run, *arguments), daemon=True)
    process.start()
    return process


def _run_for_parent(run: Callable[..., None], *arguments: Any) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    run(*arguments)


def _end_with_parent() -> None:
    """Even where the one that started the run was killed itself."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def start_line(site: Site, target: Any) -> BaseProcess:
    return start(run_lossy_line, site.line, target, site.plan.losses, site.plan.seed)


def _send(process: BaseProcess, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        assert process.pid is not None
        os.kill(process.pid, number)
