"""10. Everything hostile that there is a test of, and a good client beside 500 slow ones."""

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ai_gateway.factory import create_app
from bench.figures import percentile
from tests.faults.rig import Choice, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.slow import slow_connections
from tests.figures.suites import rows_held, run_tests
from tests.security.front import NAME, Front, make_certificate, running_front, status_of
from tests.security.matrix import ATTACKS
from tests.security.test_every_route import METHODS
from tests.security.test_front import REFUSED

GOOD_CALLS = 200
PAUSE_SECONDS = 0.02
MOST_MS = 100.0
ROWS = {attack.row: attack.tests for attack in ATTACKS if attack.tests}


@dataclass(frozen=True, slots=True)
class Served:
    """How a client fared that does nothing wrong."""

    p99_ms: float
    failed: int


def measure(trial: Trial) -> Measured:
    """All rows of the matrix, whatever the scale, and so many slow connections."""
    passed = run_tests(test for tests in ROWS.values() for test in tests)
    for test, has_passed in passed.items():
        trial.record.event("test", name=test, passed=has_passed)
    held = rows_held(ROWS, passed)
    alone, beside = _good_client(trial)
    score = len(held) / len(ROWS)
    return Measured(
        f"{score:.1%}; p99 {beside.p99_ms:.0f} ms",
        score == 1 and beside.p99_ms < MOST_MS and not beside.failed,
        {
            "rows of the matrix": len(ATTACKS),
            "rows with tests": len(ROWS),
            "rows held": len(held),
            "tests": len(passed),
            "raw requests": len(REFUSED),
            "routes times methods": _routes() * len(METHODS),
            "slow connections": trial.amount,
            "good calls": 2 * GOOD_CALLS,
            "good calls that failed": alone.failed + beside.failed,
            "p99 without slow connections, ms": round(alone.p99_ms, 1),
            "p99 beside them, ms": round(beside.p99_ms, 1),
        },
        tuple(f"{row} does not hold" for row in ROWS if row not in held),
    )


def _routes() -> int:
    with tempfile.TemporaryDirectory() as folder:
        return len(list(create_app({"AI_GATEWAY_DATA_DIR": folder}).url_map.iter_rules()))


def _good_client(trial: Trial) -> tuple[Served, Served]:
    """A client's calls through the shipped nginx, alone and beside slow ones."""
    with _opened_front(trial) as (front, key):
        alone = _served(front, key, trial)
        with slow_connections(front.tls_port, trial.amount) as are_open:
            beside = _served(front, key, trial)
            trial.record.event("slow connections", still_open=are_open())
            assert are_open() > 0.9 * trial.amount, "the slow ones are not there"
        trial.has_done(trial.amount)
        return alone, beside


@contextmanager
def _opened_front(trial: Trial) -> Iterator[tuple[Front, str]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        started_rig(Choice(seed=trial.seed), trial.record) as rig,
        running_front(rig.gateway.port, make_certificate(Path(folder))) as front,
    ):
        yield front, rig.client(daily="1000").caller.key


def _served(front: Front, key: str, trial: Trial) -> Served:
    message = {"role": "user", "content": "[[tokens=1]]"}
    body = json.dumps({"model": "gpt-4o-mini", "messages": [message], "max_tokens": 1})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n"
    taken, failed = [], 0
    for _ in range(GOOD_CALLS):
        started = time.monotonic()
        status = status_of(front.say((head + body).encode()))
        taken.append(round((time.monotonic() - started) * 1e6))
        trial.record.event("call", status=status, seconds=taken[-1] / 1e6)
        failed += status != 200
        time.sleep(PAUSE_SECONDS)
    return Served(percentile(sorted(taken), 0.99) / 1000, failed)


FIGURE = Figure(
    10,
    "Hostile-input score: raw HTTP corpus, security matrix, every route with every method",
    "100 %, with the p99 of a good client below 100 ms beside 500 slow connections",
    "Every test that a row of the security matrix names is run; a row holds where all of them "
    "pass and none is left out. Then a client calls through the shipped nginx, a TLS connection "
    "for each call, alone and beside connections that send one byte of a header a second.",
    "slow connections",
    500,
    500,
    measure,
)
