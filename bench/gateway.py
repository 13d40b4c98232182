"""The gateway as its users start it, with one worker, and a key that has budgets."""

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import request
from bench.errors import BenchError
from bench.processes import free_port, running

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that answers calls; `env` is what its commands need to find it."""

    pid: int
    port: int
    key: str
    env: Mapping[str, str]


@contextmanager
def gateway(folder: Path, upstream: int, variables: Mapping[str, str]) -> Iterator[Running]:
    """Run the gateway before a stand-in for OpenAI at the port, and see that it meters."""
    provider = {
        "OPENAI_API_KEY": "sk-bench-not-a-real-key",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream}/v1",
    }
    with started(folder, {**provider, **variables}) as ours:
        _refuse_unless_metered(ours.port, ours.key)
        yield ours


@contextmanager
def started(folder: Path, variables: Mapping[str, str]) -> Iterator[Running]:
    """Run `python app.py` with one worker in a new data folder; `variables` name its providers."""
    port = free_port()
    env = {**_environment(folder, port), **variables}
    command = [sys.executable, str(ROOT / "app.py")]
    log = folder / "log"
    with running(command, log, is_ready=lambda: _is_ready(port), env=env, ready_seconds=180) as pid:
        yield Running(pid, port, _make_key(env), env)


def flask(env: Mapping[str, str], *arguments: str) -> str:
    """Run a command of the gateway that `env` names and give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", *arguments],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BenchError(f"flask {' '.join(arguments)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()


def _environment(folder: Path, port: int) -> dict[str, str]:
    # Only what is named here: settings of the person who runs the bench must not leak into it.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "PYTHON_DOTENV_DISABLED": "1",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "AI_GATEWAY_DATA_DIR": str(folder / "data"),
        "AI_GATEWAY_SIMULATOR": "off",
        "AI_MONTHLY_SPEND_LIMIT_USD": "1000000",
        "AI_USER_DAILY_SPEND_LIMIT_USD": "100000",
    }


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _make_key(env: Mapping[str, str]) -> str:
    flask(env, "user", "create", "bench", "--email", "bench@example.org")
    flask(env, "user", "limit", "bench", "--daily", "50000", "--monthly", "500000")
    return flask(env, "key", "create", "bench", "--daily", "40000", "--monthly", "400000")


def _refuse_unless_metered(port: int, key: str) -> None:
    """Make sure that the calls to come are priced: a bench of a gateway asleep says nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", request.PATH, request.chat_body(), headers)
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        cost = answer.getheader("x-ai-gateway-cost-usd")
    finally:
        connection.close()
    if answer.status != 200 or not cost or float(cost) <= 0:
        raise BenchError(f"the first call gave {answer.status}, cost {cost}: {text[:300]}")
