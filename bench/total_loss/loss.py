"""A whole gateway whose Redis is emptied beside a client that goes on calling."""

import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, func, select

from ai_gateway.domain.limits import Window, window_id
from ai_gateway.stores import embedded
from ai_gateway.stores.sql import driver_url
from ai_gateway.stores.tables import AccountTotal, LedgerEntry
from bench.errors import BenchError
from bench.scale.checking import ZONE
from bench.scale.databases import Server
from bench.scale.progress import shown
from bench.scale.seeding import seed
from bench.total_loss.crowd import Crowd
from tests.e2e.processes import child
from tests.running import PROJECT, RunningGateway, wait_for

BODY = json.dumps(
    {"model": "gpt-4o-mini", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}
)
GIVE_UP_SECONDS = 300.0
PAUSE_SECONDS = 0.02
"""Between two calls: the client must not take the CPU from whoever restores."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What one loss was like; `steps` are the seconds that its bookkeeper tells of each."""

    accounts: int
    rows: int
    answers: Mapping[int, int]
    refused_for_seconds: float
    cpu_seconds: float
    redis_cpu_seconds: float
    steps: Mapping[str, float]
    differences: int


def measure(server: Server, crowd: Crowd, *, bookkeepers: int, times: int) -> Iterator[Loss]:
    """Make the data once, and empty Redis so many times."""
    with tempfile.TemporaryDirectory(prefix="loss-") as folder:
        gateway = RunningGateway(Path(folder), _variables(server, Path(folder)))
        try:
            gateway.start()
            key = gateway.make_key()
            gateway.stop()
            size = _filled(gateway, crowd)
            gateway.start()
            with _more_bookkeepers(gateway, bookkeepers - 1) as others:
                for _ in range(times):
                    _call_until_served(gateway.port, key)
                    yield _lose(gateway, key, size, others)
        finally:
            gateway.end()


def _variables(server: Server, folder: Path) -> dict[str, str]:
    variables = {
        "AI_GATEWAY_SIMULATOR": "on",
        "AI_GATEWAY_LOG_FORMAT": "json",
        "AI_MONTHLY_SPEND_LIMIT_USD": "9000000",
        "WEB_CONCURRENCY": "1",
        "SECRET_KEY": secrets.token_hex(),
        "AI_GATEWAY_KEY_PEPPER": secrets.token_hex(),
    }
    url = server.new_database(folder.name)
    return variables | ({"DATABASE_URL": url} if url else {})


def _filled(gateway: RunningGateway, crowd: Crowd) -> tuple[int, int]:
    """Write the data; returns how many accounts of open windows and rows there are."""
    url = gateway.environment.get("DATABASE_URL")
    engine = create_engine(
        driver_url(url or f"sqlite:///{embedded.database_path(gateway.data_dir)}")
    )
    seed(engine, crowd, shown)
    windows = [window_id(window, crowd.now, ZONE) for window in Window]
    accounts = select(func.count()).where(AccountTotal.window_id.in_(windows))
    with engine.connect() as connection:
        size = connection.scalar(accounts), connection.scalar(select(func.count(LedgerEntry.id)))
    engine.dispose()
    return int(size[0] or 0), int(size[1] or 0)


@contextmanager
def _more_bookkeepers(gateway: RunningGateway, number: int) -> Iterator[list[int]]:
    command = [sys.executable, "-m", "flask", "--app", "app", "bookkeeper"]
    log = gateway.data_dir / "bookkeepers.log"
    with log.open("ab") as out:
        started = [
            subprocess.Popen(command, cwd=PROJECT, env=gateway.environment, stderr=out)
            for _ in range(number)
        ]
        try:
            yield [process.pid for process in started]
        finally:
            for process in started:
                process.terminate()
                process.wait(60)


def _lose(gateway: RunningGateway, key: str, size: tuple[int, int], others: list[int]) -> Loss:
    bookkeepers, valkey = [child(gateway, "bookkeeper"), *others], child(gateway, "valkey")
    before = sum(map(_cpu_seconds, bookkeepers)), _cpu_seconds(valkey)
    emptied_at = datetime.now(UTC)
    with gateway.store() as store:
        store.flushall()
    answers, seconds = _call_until_served(gateway.port, key)
    steps = wait_for(lambda: _restored(gateway, emptied_at), "somebody restored the counters")
    return Loss(
        *size,
        answers,
        seconds,
        sum(map(_cpu_seconds, bookkeepers)) - before[0],
        _cpu_seconds(valkey) - before[1],
        steps,
        _differences(gateway),
    )


def _call_until_served(port: int, key: str) -> tuple[Counter[int], float]:
    """The answers by their status, and the seconds until the first call was served."""
    answers: Counter[int] = Counter()
    began = time.monotonic()
    while answers[200] == 0:
        if time.monotonic() - began > GIVE_UP_SECONDS:
            raise BenchError(f"no call is served: {dict(answers)}")
        answers[_call(port, key)] += 1
        time.sleep(PAUSE_SECONDS)
    return answers, time.monotonic() - began


def _call(port: int, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", BODY, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status == 503 and not answer.getheader("Retry-After"):
            raise BenchError("a refusal does not say when to come back")
        return answer.status
    finally:
        connection.close()


def _restored(gateway: RunningGateway, since: datetime) -> Mapping[str, float]:
    """What the bookkeeper that restored says of its steps; nothing while none has."""
    others = gateway.data_dir / "bookkeepers.log"
    lines = gateway.logged() + (others.read_text() if others.exists() else "")
    for line in reversed(lines.splitlines()):
        if '"counters_restored"' not in line:
            continue
        told: dict[str, Any] = json.loads(line)
        if datetime.fromisoformat(told["time"]) >= since:
            return {name: told[name] for name in told if name.endswith("_seconds")}
    return {}


def _differences(gateway: RunningGateway) -> int:
    """How many accounts `flask ledger verify` finds to differ."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "app", "ledger", "verify"],
        cwd=PROJECT,
        env=gateway.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    differing = done.stdout.count("counter ")
    if done.returncode and not differing:
        raise BenchError(f"the counters were not compared: {done.stderr.strip()[-300:]}")
    return differing


def _cpu_seconds(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
