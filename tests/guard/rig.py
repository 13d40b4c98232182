"""A real worker in steady state: gunicorn as the gateway runs it, on a Valkey of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.request import urlopen

from tests.gateway_app import opened_app
from tests.guard.exchange import Client, Provider, running_provider
from tests.redis_servers import running_redis
from tests.running import PROJECT, WAIT_SECONDS, wait_for
from tests.serve.gateway_process import free_port

APPLICATION = "tests.guard.counted_app:app"
WARM_UP = 12
"""Calls until connections, scripts, keys and caches are there, and the interpreter is warm."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What the counts are taken from."""

    port: int
    key: str
    redis_url: str
    provider: Provider

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self.port, self.key, self.provider)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def opened_rig() -> Iterator[Rig]:
    """Everything, warmed up: every counted call finds what the one before it left."""
    with ExitStack() as stack:
        provider = stack.enter_context(running_provider())
        server = stack.enter_context(running_redis())
        variables = {
            "AI_GATEWAY_SIMULATOR": "off",
            "OPENAI_API_KEY": "sk-guard-not-a-real-key",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{provider.port}/v1",
        }
        opened = stack.enter_context(opened_app(server, variables=variables))
        key = opened.make_key(None, "--daily", "50", "--monthly", "500", daily="90", monthly="900")
        port = free_port()
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **opened.environment,
            "PYTHON_DOTENV_DISABLED": "1",
            # A dictionary of another order would cost another number of steps.
            "PYTHONHASHSEED": "0",
            "PORT": str(port),
            "WEB_CONCURRENCY": "1",
        }
        stack.enter_context(_running_worker(environment, port))
        rig = Rig(port, key, server.url, provider)
        with rig.client() as client:
            for _ in range(WARM_UP):
                client.call()
                client.streamed_call()
        yield rig


@contextmanager
def _running_worker(environment: Mapping[str, str], port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", APPLICATION]
    log = Path(environment["AI_GATEWAY_DATA_DIR"]) / "worker.log"
    with log.open("wb") as out:
        master = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=out, stderr=out)
        try:
            wait_for(lambda: master.poll() is not None or _is_ready(port), "the worker is ready")
            assert master.poll() is None, log.read_text()[-3000:]
            yield
        finally:
            master.terminate()
            master.wait(WAIT_SECONDS)


def _is_ready(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
        return bool(answer.status == HTTPStatus.OK)
    return False
