"""4. The database is away while calls go on: who notices, what is missing, how long to catch up?"""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random

from ai_gateway.stores import redis_keys
from tests.e2e.caller import DIALECTS
from tests.faults.client import Client
from tests.faults.databases import PostgreSQL
from tests.faults.rig import Choice, Rig, started_rig
from tests.figures.figure import Figure, Measured, Trial
from tests.figures.load import whole
from tests.figures.resting import fresh_clients, sequence_gaps, verdict_at_rest
from tests.running import wait_for

CALLS_A_SECOND = 100
AT_ONCE = 64
MOST_SECONDS = 300
CATCH_UP_SECONDS = 3600.0


def measure(trial: Trial) -> Measured:
    """So many seconds without PostgreSQL."""
    trial.record.scenario = "SQL away"
    with started_rig(Choice("valkey", "postgresql", trial.seed), trial.record) as rig:
        assert isinstance(rig.sql, PostgreSQL)
        clients = fresh_clients(rig)
        for client in clients:
            whole(client, "openai", "[[tokens=1]]")
        with rig.sql.away():
            started = time.monotonic()
            statuses = _paced(clients, trial)
            seconds = time.monotonic() - started
            trial.record.event("SQL is back", waiting=_waiting(rig))
        back = time.monotonic()
        wait_for(lambda: _waiting(rig) == 0, "the ledger has caught up", CATCH_UP_SECONDS)
        caught_up = time.monotonic() - back
        verdict = verdict_at_rest(rig, trial.record, clients)
        gaps = sequence_gaps(rig)
    failed = statuses.total() - statuses[200]
    return Measured(
        f"{failed} failed; {verdict.lost} missing; {caught_up:.0f} s",
        not failed and verdict.is_right and not gaps and caught_up < MOST_SECONDS,
        verdict.counts()
        | {
            "seconds away": round(seconds),
            "calls a second": round(statuses.total() / seconds, 1),
            "failed client calls": failed,
            "seconds to catch up": round(caught_up, 1),
            "gaps in the sequence": gaps,
        },
        verdict.complaints,
    )


def _paced(clients: list[Client], trial: Trial) -> Counter[int]:
    """Calls that go out by the clock, whether or not those before were answered."""
    random = Random(trial.seed)
    begin = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        calls = []
        for number in range(trial.amount * CALLS_A_SECOND):
            time.sleep(max(0, begin + number / CALLS_A_SECOND - time.monotonic()))
            client = clients[number % len(clients)]
            words = f"[[tokens={random.randint(1, 9)}]]"
            calls.append(pool.submit(whole, client, random.choice(DIALECTS), words))
            trial.has_done(number // CALLS_A_SECOND)
        return Counter(call.result() for call in calls)


def _waiting(rig: Rig) -> int:
    """Entries that the ledger does not have yet."""
    with rig.gateway.store() as store:
        return int(store.xlen(redis_keys.OUTBOX))


FIGURE = Figure(
    4,
    "SQL away for 60 minutes at 100 calls a second",
    "0 client calls failed; 0 rows missing afterwards; caught up in less than 5 minutes",
    "PostgreSQL cannot be reached and all its sessions are gone; 100 calls go out each second, by "
    "the clock. Then it is back, and the outbox has to run empty. Judged as in 2.",
    "seconds away",
    90,
    3600,
    measure,
)
