"""The story of one gateway: start everything in order, watch over it, stop it in reverse."""

import signal
import tempfile
import time
from collections.abc import Callable
from typing import IO

from ai_gateway.serve.child import Child
from ai_gateway.serve.probes import valkey_answers, why_not_ready
from ai_gateway.serve.programs import Program, Programs
from ai_gateway.serve.signals import Signals, StopRequested
from ai_gateway.serve.words import StartError, last_line, own_address, say, show, welcome
from ai_gateway.stores.embedded import socket_path, valkey_log_path

VALKEY_WITHIN_SECONDS = 120.0
SIMULATOR_WITHIN_SECONDS = 30.0
HURRIED_SECONDS = 1.0


class Supervisor:
    """Runs the programs of one gateway. Children are kept in the order of their start."""

    def __init__(self, programs: Programs, signals: Signals, *, lock: int) -> None:
        self._programs = programs
        self._settings = programs.settings
        self._signals = signals
        self._lock = lock
        self._children: list[Child] = []
        self._is_hurried = False

    def run(self, *, ready_within_seconds: float) -> int:
        """Serve until a signal comes or gunicorn ends; returns the exit code."""
        try:
            self._start(ready_within_seconds)
            return self._watch()
        except StopRequested:
            return 0
        finally:
            self._stop()

    def _start(self, ready_within_seconds: float) -> None:
        valkey = self._start_valkey()
        simulator = self._start_simulator()
        if valkey:
            self._wait_for_valkey(valkey)
        setup_output = self._set_up()
        simulator_url = self._wait_for_simulator(simulator) if simulator else None
        demo_output = self._make_demo_data(simulator_url)
        self._add(self._programs.bookkeeper(simulator_url))
        gunicorn = self._add(self._programs.gunicorn(simulator_url))
        self._wait_for_readiness(gunicorn, ready_within_seconds)
        show(welcome(self._settings, setup_output, demo_output))

    def _watch(self) -> int:
        *others, gunicorn = self._children
        while True:
            code = gunicorn.exit_code()
            if code is not None:
                say(f"gunicorn ended with code {code}; stopping")
                return code
            for child in others:
                _revive(child)
            self._signals.wait(_seconds_to_next_start(others))

    def _stop(self) -> None:
        for child in reversed(self._children):
            child.terminate()
            self._wait_for_end(child)

    def _start_valkey(self) -> Child | None:
        return None if self._settings.redis_url else self._add(self._programs.valkey())

    def _start_simulator(self) -> Child | None:
        if not self._settings.simulator_active or self._settings.simulator_url:
            return None
        self._programs.simulator_port_file.unlink(missing_ok=True)
        return self._add(self._programs.simulator())

    def _wait_for_valkey(self, valkey: Child) -> None:
        path = socket_path(self._settings.data_dir)
        log = valkey_log_path(self._settings.data_dir)
        try:
            if not self._until(lambda: valkey_answers(path), valkey, VALKEY_WITHIN_SECONDS):
                raise StartError("Valkey does not answer")
        except StartError as error:
            reason = last_line(log.read_text(errors="replace")) if log.exists() else "nothing"
            raise StartError(f"{error}; {log} says: {reason}") from error

    def _wait_for_simulator(self, simulator: Child) -> str:
        path = self._programs.simulator_port_file

        def has_port() -> bool:
            return path.exists() and path.read_text().strip().isdigit()

        if not self._until(has_port, simulator, SIMULATOR_WITHIN_SECONDS):
            raise StartError("the simulator does not tell its port")
        port = int(path.read_text())
        # The others are told this port, so that it has to stay the same after a restart.
        simulator.program = self._programs.simulator(port)
        return f"http://127.0.0.1:{port}"

    def _wait_for_readiness(self, gunicorn: Child, seconds: float) -> None:
        host, port = own_address(self._settings.host), self._settings.port
        if not self._until(lambda: why_not_ready(host, port) is None, gunicorn, seconds):
            raise StartError(f"not ready after {seconds:.0f} s: {why_not_ready(host, port)}")

    def _set_up(self) -> str:
        with tempfile.TemporaryFile() as stderr:
            return self._run_once(self._programs.once("setup"), stderr)

    def _make_demo_data(self, simulator_url: str | None) -> str:
        """Fill the data folder of a demo once; how far that is goes to our stderr as it comes."""
        if not self._settings.demo or self._programs.demo_marker.exists():
            return ""
        said = self._run_once(self._programs.once("demo-data", simulator_url))
        self._programs.demo_marker.touch()
        return said

    def _add(self, program: Program) -> Child:
        child = Child(program, lock=self._lock)
        try:
            child.start()
        except OSError as error:
            raise StartError(f"{program.name} cannot be started: {error}") from error
        self._children.append(child)
        return child

    def _run_once(self, program: Program, stderr: IO[bytes] | None = None) -> str:
        """Run a command of the application to its end and return what it printed.

        What it complains of goes to `stderr`, and to ours where that is not given.
        """
        with tempfile.TemporaryFile() as stdout:
            child = Child(program, lock=self._lock)
            child.start(stdout, stderr)
            self._children.append(child)
            while (code := child.exit_code()) is None:
                self._signals.wait(None)
            self._children.remove(child)
            if code:
                reason = last_line(_text(stderr)) if stderr else "it says why above"
                raise StartError(f"{program.name} failed: {reason}")
            return _text(stdout)

    def _until(self, is_so: Callable[[], bool], child: Child, seconds: float) -> bool:
        """Wait for a condition that `child` brings about; false when the time is over."""
        give_up_at = time.monotonic() + seconds
        while not is_so():
            code = child.exit_code()
            if code is not None:
                name = child.program.name
                raise StartError(f"{name} ended with code {code} before it was ready")
            if time.monotonic() > give_up_at:
                return False
            self._signals.wait(0.02)
        return True

    def _wait_for_end(self, child: Child) -> None:
        """Wait until nothing of a child is left, and kill what is left after its time."""
        limit = time.monotonic() + child.program.stop_within_seconds
        while not child.is_gone():
            if self._is_hurried:
                limit = min(limit, time.monotonic() + HURRIED_SECONDS)
            if time.monotonic() > limit:
                say(f"{child.program.name} did not stop in time and is killed")
                child.kill()
                limit = time.monotonic() + HURRIED_SECONDS
            # Grandchildren send us no signal when they end, so we look again.
            if signal.SIGINT in self._signals.read(0.1):
                self._is_hurried = True


def _revive(child: Child) -> None:
    """Plan the next start of a child that has ended, or start it when its time has come."""
    if child.restart_at is not None:
        if time.monotonic() >= child.restart_at:
            _start_again(child)
        return
    code = child.exit_code()
    if code is not None:
        pause = child.plan_restart()
        say(f"{child.program.name} ended with code {code}; it starts again in {pause:.0f} s")


def _start_again(child: Child) -> None:
    try:
        child.start()
    except OSError as error:
        pause = child.plan_restart()
        say(f"{child.program.name} cannot be started ({error}); the next try is in {pause:.0f} s")


def _seconds_to_next_start(children: list[Child]) -> float | None:
    moments = [child.restart_at for child in children if child.restart_at is not None]
    return max(0.0, min(moments) - time.monotonic()) if moments else None


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
