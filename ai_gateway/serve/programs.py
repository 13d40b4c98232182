"""The programs that the supervisor starts: commands, environments and how long each may end."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ai_gateway.settings import Settings
from ai_gateway.stores.embedded import run_folder, valkey_command

GUNICORN_CONFIG = Path(__file__).resolve().parents[2] / "gunicorn.conf.py"
DEMO_CONFIG = Path(__file__).with_name("demo.toml")
METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True)
class Program:
    """A command to start. `dies_by` is the signal it gets when the supervisor is killed."""

    name: str
    command: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    stop_within_seconds: float
    dies_by: signal.Signals = signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Programs:
    """All programs of one gateway. `project` is the folder with `app.py`."""

    settings: Settings
    project: Path

    def valkey(self) -> Program:
        return self._program("valkey", valkey_command(self.settings.data_dir), 20, signal.SIGTERM)

    def simulator(self, port: int = 0) -> Program:
        """`port` 0 takes a free one, to be read from `simulator_port_file`."""
        options = ["--host", "127.0.0.1", "--port", str(port)]
        options += ["--port-file", str(self.simulator_port_file)]
        return self._program("simulator", [sys.executable, "-m", "simulator", *options], 5)

    def once(self, name: str, simulator_url: str | None = None) -> Program:
        """Return a command of the application that runs once and ends."""
        return self._program(name, _flask(name), 5, variables=_known(simulator_url))

    def bookkeeper(self, simulator_url: str | None) -> Program:
        command = _flask("bookkeeper")
        return self._program("bookkeeper", command, 20, variables=_known(simulator_url))

    def gunicorn(self, simulator_url: str | None) -> Program:
        command = [sys.executable, "-m", "gunicorn", "-c", str(GUNICORN_CONFIG), "app:app"]
        metrics = {METRICS_FOLDER: str(self.settings.data_dir / "metrics")}
        variables = {**_known(simulator_url), **metrics}
        return self._program("gunicorn", command, 35, signal.SIGQUIT, variables=variables)

    @property
    def simulator_port_file(self) -> Path:
        return run_folder(self.settings.data_dir) / "simulator.port"

    @property
    def demo_marker(self) -> Path:
        """The file that says that the data folder has its demo data."""
        return self.settings.data_dir / "demo-data.made"

    def _program(
        self,
        name: str,
        command: list[str],
        stop_within_seconds: float,
        dies_by: signal.Signals = signal.SIGKILL,
        *,
        variables: Mapping[str, str] | None = None,
    ) -> Program:
        environment = dict(os.environ)
        environment.pop(METRICS_FOLDER, None)  # its files belong to the workers alone
        # The programs run in the project's folder, where relative paths would mean others.
        environment["AI_GATEWAY_DATA_DIR"] = str(self.settings.data_dir)
        config = self.settings.config_path or (DEMO_CONFIG if self.settings.demo else None)
        if config:
            environment["AI_GATEWAY_CONFIG"] = str(config)
        environment.update(variables or {})
        return Program(
            name=name,
            command=tuple(command),
            folder=self.project,
            environment=environment,
            stop_within_seconds=stop_within_seconds,
            dies_by=dies_by,
        )


def _flask(name: str) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "app", name]


def _known(simulator_url: str | None) -> dict[str, str]:
    return {"AI_GATEWAY_SIMULATOR_URL": simulator_url} if simulator_url else {}
