"""The services of compose.yaml as processes: its commands and environments, the image by hand.

PostgreSQL and Valkey are those of this machine, told what the containers are told. Only the names
of hosts, ports and folders are others.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier

from ai_gateway.stores.embedded import valkey_command
from simulator.testing import running_simulator
from tests.deploy.by_hand import Image, RunStep, image_by_hand
from tests.deploy.compose import NEEDED, read_services
from tests.postgresql import ACCOUNT
from tests.running import wait_for
from tests.serve.gateway_process import free_port
from tests.tools import program

STOP_SECONDS = 40.0


@contextmanager
def deployed(run: RunStep) -> Iterator["Deployment"]:
    """Everything up, in the order of compose.yaml, and before a simulator. `run` does the RUNs."""
    folder = Path(tempfile.mkdtemp(prefix="agw-deploy"))
    folder.chmod(0o777)
    with image_by_hand(run) as image, running_simulator() as simulator:
        env_file = NEEDED | {
            "WEB_CONCURRENCY": "1",
            "AI_GATEWAY_SIMULATOR": "on",
            "AI_GATEWAY_SIMULATOR_URL": simulator.url,
            # As from another container: only the token opens the metrics.
            "AI_GATEWAY_METRICS_ALLOW": "192.0.2.0/24",
        }
        deployment = Deployment(image, folder, env_file)
        try:
            deployment.start_stores()
            set_up = deployment.run()
            assert set_up.returncode == 0, set_up.stderr
            assert "Log in as admin with the password" in set_up.stdout
            for name in ("gateway", "bookkeeper"):
                deployment.start(name)
            deployment.wait_until_ready()
            yield deployment
        finally:
            deployment.end()
            shutil.rmtree(folder)


class Deployment:
    """All services on loopback, in a folder that everybody may enter; `end` them at last."""

    def __init__(self, image: Image, folder: Path, env_file: Mapping[str, str]) -> None:
        self.image = image
        self.folder = folder
        self.services = read_services(env_file)
        self._env_file = env_file
        self.ports = {name: free_port() for name in ("postgres", "valkey", "gateway")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['gateway']}"

    @property
    def gateway_address(self) -> str:
        return f"127.0.0.1:{self.ports['gateway']}"

    def environment(self, name: str) -> dict[str, str]:
        """The image's variables, those of the file .env, and those of the service on top."""
        told = self.services[name]["environment"]
        merged = {**self.image.environment, **self._env_file, **told, "TMPDIR": str(self.folder)}
        return {variable: self._here(value) for variable, value in merged.items()} | {
            "HOST": "127.0.0.1",
            "PORT": str(self.ports["gateway"]),
        }

    def start_stores(self) -> None:
        self._start_postgres()
        command = self.services["valkey"]["command"]
        data = self._own_folder("valkey")
        options = ["--port", str(self.ports["valkey"]), "--bind", "127.0.0.1", "--dir", str(data)]
        self._start("valkey", [*valkey_command(data)[:1], *command[1:], *options], {})

    def start(self, name: str) -> None:
        """Start one of our services as its container would."""
        command = self.services[name].get("command") or self.image.stage.command
        self._start(name, self.image.as_its_user(command), self.environment(name))

    def wait_until_ready(self) -> None:
        wait_for(
            lambda: status(f"{self.base_url}/health/ready") == 200 or self._has_failed(),
            "the gateway is ready",
        )
        assert not self._has_failed(), self.said("gateway")

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """What `docker compose run --rm setup COMMAND` does; without one, that of the service."""
        chosen = list(command) or self.services["setup"]["command"]
        return subprocess.run(
            self.image.as_its_user(chosen),
            cwd=self.image.folder,
            env=self.environment("setup"),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def start_prometheus(self, listen: str) -> None:
        """Its shell command, with a shorter interval: the first scrape would come after 15 s."""
        binary = program("prometheus")
        assert binary is not None
        places = {
            "/bin/prometheus": binary,
            "/etc/prometheus/prometheus.yml": str(self.prometheus_config),
            "=/prometheus": f"={self.folder / 'prometheus-data'}",
            "/tmp/ai-gateway-metrics-token": str(self.folder / "metrics-token"),  # noqa: S108
        }
        service = self.services["prometheus"]
        text = re.sub(
            "|".join(map(re.escape, places)), lambda it: places[it[0]], service["command"][0]
        )
        command = [*service["entrypoint"], f"{text.rstrip()} --web.listen-address={listen}"]
        self._start("prometheus", command, service["environment"])

    @cached_property
    def prometheus_config(self) -> Path:
        """The configuration of the container and the rules beside it, as they are mounted."""
        folder = self.folder / "prometheus"
        for mount in self.services["prometheus"]["volumes"]:
            source, target, *_ = mount.split(":")
            place = folder / target.removeprefix("/etc/prometheus/")
            if Path(source).is_dir():
                shutil.copytree(source, place)
            elif Path(source).is_file():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, place)
        config = folder / "prometheus.yml"
        text = config.read_text().replace("gateway:8000", self.gateway_address)
        text = re.sub(r"/tmp/(?=ai-gateway)", f"{self.folder}/", text)  # noqa: S108
        text = text.replace("/ai-gateway-metrics-token", "/metrics-token")
        config.write_text(re.sub(r"scrape_interval: \d+s", "scrape_interval: 1s", text))
        return config

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self, name: str) -> int:
        """As Compose does it, by the image's signal to the one process of the container."""
        process = self._processes.pop(name)
        process.send_signal(signal.Signals[self.image.stage.last("STOPSIGNAL")])
        return process.wait(STOP_SECONDS)

    def end(self) -> None:
        for name in reversed(list(self._processes)):
            # SIGINT, or PostgreSQL would wait for clients that do not leave.
            self._processes[name].send_signal(signal.SIGINT)
            self._processes[name].wait(STOP_SECONDS)

    def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """What a query gives, asked by the account and password of our services."""
        environment = self.environment("setup")
        url = environment["DATABASE_URL"].replace("+psycopg", "")
        with psycopg.connect(url, password=environment["PGPASSWORD"]) as connection:
            return connection.execute(query).fetchall()

    def _has_failed(self) -> bool:
        return self._processes["gateway"].poll() is not None

    def _here(self, value: str) -> str:
        for name, port in (("postgres", 5432), ("valkey", 6379)):
            value = re.sub(rf"(?<=[@/]){name}:{port}(?=/)", f"127.0.0.1:{self.ports[name]}", value)
        return self.image.below(value)

    def _start_postgres(self) -> None:
        """Make the database as the image does from its environment, and wait for it likewise."""
        told = self.services["postgres"]["environment"]
        data, password = self._own_folder("postgres"), self.folder / "postgres" / "password"
        password.write_text(told["POSTGRES_PASSWORD"])
        user = ACCOUNT if os.geteuid() == 0 else None
        initdb, postgres = (program(name) or name for name in ("initdb", "postgres"))
        options = ["-U", told["POSTGRES_USER"], "-A", "scram-sha-256", f"--pwfile={password}"]
        command = [initdb, "-D", str(data / "data"), *options, "--no-sync"]
        subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
        command = [postgres, "-D", str(data / "data"), "-k", str(data), "-h", "127.0.0.1", "-F"]
        self._start("postgres", [*command, "-p", str(self.ports["postgres"])], {}, user=user)
        wait_for(self._has_made_database, "PostgreSQL answers")

    def _has_made_database(self) -> bool:
        told = self.services["postgres"]["environment"]
        try:
            connection = psycopg.connect(
                host="127.0.0.1",
                port=self.ports["postgres"],
                user=told["POSTGRES_USER"],
                password=told["POSTGRES_PASSWORD"],
                dbname="postgres",
                autocommit=True,
            )
        except psycopg.OperationalError:
            return False
        with connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(told["POSTGRES_DB"])))
        return True

    def _own_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o755)
        if name == "postgres" and os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT)
        return folder

    def _start(
        self,
        name: str,
        command: list[str],
        environment: Mapping[str, str],
        *,
        user: str | None = None,
    ) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=self.image.folder if name in ("gateway", "bookkeeper") else self.folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
            )


def status(url: str) -> int:
    """The status of an answer, or 0 where there is none."""
    try:
        with urllib.request.urlopen(url) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0
